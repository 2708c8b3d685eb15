"""`ExperimentStatus`, where scripts written for Sample Factory import it from."""

from __future__ import annotations

from sf_core.utils.status import ExperimentStatus

__all__ = ["ExperimentStatus"]
