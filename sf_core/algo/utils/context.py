"""`global_model_factory`, where scripts written for Sample Factory import it from."""

from __future__ import annotations

from sf_core.plugins.script import global_model_factory

__all__ = ["global_model_factory"]
