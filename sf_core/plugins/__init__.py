"""Who may join: specs and hooks for plugins, the manager that finds and loads them, the plan that children receive.

specs       what a plugin may offer                 hookspecs    the hooks it says it with
discovery   which plugins are installed             requests     which of them the user wants
loading     import them, each for itself            components   collect what they offer
resolution  a name becomes a component              manager      all of that behind one object
planning    configuration + manager -> RunPlan      plan, refs   what a child process needs, and no more
script      what a user's own file registers        builtin      the core's own components, a plugin like any other
observer    base class of training observers
"""
