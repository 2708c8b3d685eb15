"""Says that it cannot work here."""

from sf_core import PluginUnavailable

raise PluginUnavailable("needs Windows")
