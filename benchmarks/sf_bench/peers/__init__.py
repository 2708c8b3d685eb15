"""Scripts that run in the environments of other frameworks. Nothing here imports sf_core."""
