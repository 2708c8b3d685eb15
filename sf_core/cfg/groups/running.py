"""Options that say when a run stops, what it writes, and what evaluation does."""

from __future__ import annotations

from sf_core.cfg.option import BOOL, FLOAT, INT, STR, Option, OptionGroup

STOPPING = OptionGroup(
    "stopping",
    "when training ends",
    (
        Option(
            name="train_for_env_steps",
            type=INT,
            default=10_000_000_000,
            low=1,
            help="env steps after which the run is finished",
        ),
        Option(
            name="train_for_seconds",
            type=INT,
            default=10_000_000_000,
            low=1,
            help="seconds of training, over all restarts, after which the run is finished",
            differs="works (there it never stops a run)",
        ),
    ),
)

REPORTING = OptionGroup(
    "reporting",
    "logs, metrics and signs of life",
    (
        Option(name="log_to_file", type=BOOL, default=True, help="also write sf_log.txt"),
        Option(
            name="experiment_summaries_interval",
            type=INT,
            default=10,
            low=1,
            help="seconds between two lines of metrics",
        ),
        Option(
            name="flush_summaries_interval",
            type=INT,
            default=30,
            low=1,
            help="seconds between two flushes of the TensorBoard events",
        ),
        Option(name="stats_avg", type=INT, default=100, low=1, help="episodes that a reported mean is taken over"),
        Option(
            name="heartbeat_interval",
            type=INT,
            default=20,
            low=1,
            help="seconds between two signs of life of a process; no effect in serial mode",
        ),
        Option(
            name="heartbeat_reporting_interval",
            type=INT,
            default=180,
            low=1,
            help="seconds of silence after which a process counts as lost; no effect in serial mode",
        ),
    ),
)

CHECKPOINTS = OptionGroup(
    "checkpoints",
    "what is saved, and when",
    (
        Option(name="save_every_sec", type=INT, default=120, low=1, help="seconds between two checkpoints"),
        Option(name="keep_checkpoints", type=INT, default=2, low=1, help="checkpoints that are kept"),
        Option(
            name="load_checkpoint_kind",
            type=STR,
            default="latest",
            choices=("latest", "best"),
            per_command=True,
            help="the checkpoint to continue or to evaluate",
        ),
        Option(
            name="save_milestones_sec",
            type=INT,
            default=-1,
            low=-1,
            help="seconds between two checkpoints that are never deleted; -1 means none",
        ),
        Option(
            name="save_best_every_sec",
            type=INT,
            default=5,
            low=1,
            help="seconds between two looks at whether the policy is the best so far",
        ),
        Option(name="save_best_metric", type=STR, default="reward", help="the statistic that says which is best"),
        Option(
            name="save_best_after",
            type=INT,
            default=100_000,
            low=0,
            help="env steps before which no checkpoint is called the best",
        ),
    ),
)

EVALUATION = OptionGroup(
    "evaluation",
    "only for sf-eval and sf-enjoy",
    (
        Option(
            name="episodes",
            type=INT,
            default=None,
            low=1,
            short=("--sample_env_episodes",),
            evaluation=True,
            per_command=True,
            help="whole episodes to play; not set means 100 for sf-eval and no limit for sf-enjoy",
            differs="new; --sample_env_episodes is another spelling of it",
        ),
        Option(
            name="json",
            type=BOOL,
            default=False,
            evaluation=True,
            per_command=True,
            help="print the result as one line of JSON",
            differs="new",
        ),
        Option(
            name="eval_deterministic",
            type=BOOL,
            default=False,
            evaluation=True,
            per_command=True,
            help="the most likely action instead of a sampled one",
        ),
        Option(
            name="policy_index",
            type=INT,
            default=0,
            low=0,
            evaluation=True,
            per_command=True,
            help="the policy to evaluate",
        ),
        Option(
            name="eval_env_frameskip",
            type=INT,
            default=None,
            low=1,
            evaluation=True,
            per_command=True,
            help="frame skip while evaluating, a divisor of env_frameskip; actions are repeated to make up for it",
        ),
        Option(
            name="max_num_frames",
            type=INT,
            default=1_000_000_000,
            low=1,
            evaluation=True,
            per_command=True,
            help="frames after which evaluation ends",
        ),
        Option(
            name="max_num_episodes",
            type=INT,
            default=1_000_000_000,
            low=1,
            evaluation=True,
            per_command=True,
            help="episodes after which evaluation ends",
        ),
        Option(
            name="fps",
            type=INT,
            default=0,
            low=0,
            evaluation=True,
            per_command=True,
            help="frames shown per second; 0 means as fast as they come",
        ),
        Option(
            name="no_render",
            type=BOOL,
            default=False,
            evaluation=True,
            per_command=True,
            help="show nothing",
        ),
        Option(
            name="save_video",
            type=BOOL,
            default=False,
            evaluation=True,
            per_command=True,
            help="write a video instead of showing it",
            differs="needs no display and no ffmpeg on the system",
        ),
        Option(
            name="video_frames",
            type=INT,
            default=1_000_000_000,
            low=-1,
            evaluation=True,
            per_command=True,
            help="longest video in frames; -1 means the first episode",
        ),
        Option(
            name="video_name",
            type=STR,
            default=None,
            evaluation=True,
            per_command=True,
            help="file name of the video; not set means replay.mp4",
        ),
        Option(
            name="csv_folder_name",
            type=STR,
            default=None,
            evaluation=True,
            per_command=True,
            unavailable="no CSV file is written; use --json",
            help="folder for a table of the episodes",
        ),
        Option(
            name="push_to_hub",
            type=BOOL,
            default=False,
            evaluation=True,
            per_command=True,
            unavailable="uploading to the Hugging Face Hub is not part of this version",
            help="upload the run to the Hugging Face Hub",
        ),
        Option(
            name="hf_repository",
            type=STR,
            default=None,
            evaluation=True,
            per_command=True,
            help="the repository there, user/name",
        ),
        Option(
            name="train_script",
            type=STR,
            default=None,
            evaluation=True,
            per_command=True,
            help="module named in the model card",
        ),
        Option(
            name="enjoy_script",
            type=STR,
            default=None,
            evaluation=True,
            per_command=True,
            help="module named in the model card",
        ),
    ),
)

WANDB = OptionGroup(
    "wandb",
    "Weights & Biases, beside TensorBoard (`pip install sf-core[wandb]`; `WANDB_MODE=offline` works)",
    (
        Option(
            name="with_wandb",
            type=BOOL,
            default=False,
            help="report to Weights & Biases",
        ),
        Option(
            name="wandb_user", type=STR, default=None, help="the account or team; not set means that of `wandb login`"
        ),
        Option(name="wandb_project", type=STR, default="sample_factory", help="the project"),
        Option(name="wandb_group", type=STR, default=None, help="the group; not set means the environment's name"),
        Option(name="wandb_job_type", type=STR, default="SF", help="the job type"),
        Option(name="wandb_tags", type=STR, default=[], many=True, help="tags"),
        Option(name="wandb_dir", type=STR, default="./wandb", help="where W&B keeps its local files"),
    ),
)

POPULATION = OptionGroup(
    "population",
    "population-based training (not part of this version)",
    (
        Option(
            name="with_pbt",
            type=BOOL,
            default=False,
            unavailable="population-based training is not part of this version",
            help="population-based training",
        ),
        Option(
            name="pbt_mix_policies_in_one_env",
            type=BOOL,
            default=True,
            help="agents of one environment may follow different policies",
        ),
        Option(name="pbt_period_env_steps", type=INT, default=5_000_000, low=1, help="env steps between two updates"),
        Option(
            name="pbt_start_mutation", type=INT, default=20_000_000, low=0, help="env steps before the first update"
        ),
        Option(
            name="pbt_replace_fraction",
            type=FLOAT,
            default=0.3,
            low=0,
            high=1,
            help="share of best and of worst policies",
        ),
        Option(
            name="pbt_mutation_rate",
            type=FLOAT,
            default=0.15,
            low=0,
            high=1,
            help="probability that a value changes",
        ),
        Option(
            name="pbt_replace_reward_gap",
            type=FLOAT,
            default=0.1,
            low=0,
            help="smallest relative gap for a replacement",
        ),
        Option(
            name="pbt_replace_reward_gap_absolute",
            type=FLOAT,
            default=1e-6,
            low=0,
            help="smallest absolute gap for a replacement",
        ),
        Option(name="pbt_optimize_gamma", type=BOOL, default=False, help="also change gamma"),
        Option(name="pbt_target_objective", type=STR, default="true_objective", help="the statistic that is maximised"),
        Option(name="pbt_perturb_min", type=FLOAT, default=1.1, above=0, help="smallest factor of a change"),
        Option(name="pbt_perturb_max", type=FLOAT, default=1.5, above=0, help="largest factor of a change"),
    ),
)
