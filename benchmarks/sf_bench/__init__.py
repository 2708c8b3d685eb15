"""Speed, measured: of training runs, of their parts, of sampling, of starting up; ours and peers'.

workloads    what is trained: env, network, batches, the same for everybody
contenders   who trains it, in which modes: a command line each
progress     how every contender says how far it is, and how a rate is read from that
measure      one run of one contender, as a process that is watched and ended
parts        what the simulator, the forward pass and the gradient would take alone; limit: the formula
training     one workload: choose modes, alternate contenders, medians
sampling, memory, startup, scaling    the other measurements
results      the JSON file;  tables: Markdown from it;  cli: commands
"""
