"""Every option of the core, one module per part of the framework; `sf_core.cfg.options` puts them together."""
