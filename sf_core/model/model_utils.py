"""Helpers for networks under the names that scripts written for Sample Factory import."""

from __future__ import annotations

from sf_core.model.layers import conv_layers, create_mlp, fc_layer, model_device, nonlinearity

__all__ = ["conv_layers", "create_mlp", "fc_layer", "model_device", "nonlinearity"]
