"""Options that say what to run, where, and with which plugins and components."""

from __future__ import annotations

from sf_core.cfg.option import BOOL, INT, STR, Option, OptionGroup

RUN = OptionGroup(
    "run",
    "what to run and where it is kept",
    (
        Option(
            name="help",
            type=BOOL,
            default=False,
            short=("-h",),
            per_command=True,
            help="show the options, also those of the components chosen beside it, and stop",
        ),
        Option(
            name="env",
            type=STR,
            default=None,
            help="the environment: a name of `sf-list envs`, any Gymnasium id, or py:module:function",
            differs="names need no registration in a script: plugins, Gymnasium ids and functions are found by name",
        ),
        Option(
            name="experiment",
            type=STR,
            default="default_experiment",
            help="name of the run and of its folder; an existing run is continued",
        ),
        Option(
            name="train_dir",
            type=STR,
            default="./train_dir",
            help="the folder that holds all runs",
            differs="kept as it was typed, not made absolute",
        ),
        Option(
            name="restart_behavior",
            type=STR,
            default="resume",
            choices=("resume", "restart", "overwrite"),
            per_command=True,
            help="if the run exists: continue it, move the old one aside, or delete the old one",
        ),
        Option(
            name="device",
            type=STR,
            default="auto",
            help="where the policy lives: auto, cpu, gpu, cuda, cuda:N or mps",
            differs="`auto` by default (the default there is gpu, even where there is none); cuda:N and mps exist",
        ),
        Option(
            name="amp",
            type=STR,
            default="off",
            choices=("off", "bf16"),
            help="bf16: encoder and memory compute in bfloat16; weights, heads, normalisation and losses stay float32",
            differs="new",
        ),
        Option(
            name="compile",
            type=BOOL,
            default=False,
            help="compile the encoder with torch.compile, which takes a while at the start and needs a compiler",
            differs="new",
        ),
        Option(
            name="cuda_graphs",
            type=BOOL,
            default=False,
            help="replay the acting network as a CUDA graph; no effect where the policy is not on a CUDA device",
            differs="new",
        ),
        Option(
            name="seed",
            type=INT,
            default=None,
            low=0,
            high=2**64 - 1,  # what torch takes
            help="seed of everything random; without it one is drawn and recorded",
            differs="seeds everything, environments included (there: torch and numpy in the learner only)",
        ),
        Option(
            name="algo",
            type=STR,
            default="APPO",
            choices=("APPO",),
            help="name of the algorithm; there is one",
        ),
    ),
)

CONFIGURATION = OptionGroup(
    "configuration",
    "where options come from, and which plugins are loaded",
    (
        Option(
            name="config",
            type=STR,
            default=None,
            per_command=True,
            help="a TOML file with options by name, at top level or under any headings",
            differs="new",
        ),
        Option(
            name="preset",
            type=STR,
            default=None,
            per_command=True,
            help="a named set of options that a plugin offers; see `sf-list presets`",
            differs="new",
        ),
        Option(
            name="print_config",
            type=BOOL,
            default=False,
            per_command=True,
            help="print every option with its value and where the value comes from, and stop",
            differs="new",
        ),
        Option(
            name="plugins",
            type=STR,
            default=[],
            append=True,
            short=("-p",),
            per_command=True,
            help="load or require a plugin: NAME, no:NAME to block one, path/to/file.py, or package.module",
            differs="new",
        ),
        Option(
            name="strict_plugins",
            type=BOOL,
            default=False,
            per_command=True,
            help="a plugin that fails stops the command, with its traceback",
            differs="new",
        ),
        Option(
            name="verbose",
            type=BOOL,
            default=False,
            short=("-v",),
            per_command=True,
            help="show tracebacks",
            differs="new",
        ),
    ),
)

COMPONENTS = OptionGroup(
    "components",
    "named parts, the core's own and those of plugins; `sf-list all` shows them",
    (
        Option(
            name="encoder",
            type=STR,
            default="auto",
            help="turns observations into features; auto follows --encoder_conv_architecture and --encoder_mlp_layers",
            differs="new; `auto` means what the flags of Sample Factory select",
        ),
        Option(
            name="core",
            type=STR,
            default="auto",
            help="the memory: none, gru, lstm, attention or a plugin's; auto follows --use_rnn and --rnn_type",
            differs="new; `auto` means what the flags of Sample Factory select",
        ),
        Option(
            name="decoder",
            type=STR,
            default="auto",
            help="stands between the memory and the heads; auto follows --decoder_mlp_layers",
            differs="new; `auto` means what the flags of Sample Factory select",
        ),
        Option(
            name="actor_critic",
            type=STR,
            default="auto",
            help="the whole model: shared, separate or a plugin's; auto follows --actor_critic_share_weights",
            differs="new; `auto` means what the flags of Sample Factory select",
        ),
        Option(
            name="env_wrappers",
            type=STR,
            default=[],
            many=True,
            help="wrappers around every environment, innermost first",
            differs="new",
        ),
        Option(
            name="observers",
            type=STR,
            default=[],
            many=True,
            help="observers that watch the training",
            differs="new",
        ),
    ),
)
