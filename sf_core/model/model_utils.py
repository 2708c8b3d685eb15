"""Helpers for networks under the names that scripts written for Sample Factory import."""

from __future__ import annotations

from sf_core.model.layers import create_mlp, model_device, nonlinearity

__all__ = ["create_mlp", "model_device", "nonlinearity"]
