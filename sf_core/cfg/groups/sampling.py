"""Options that say how experience is collected: processes, environments, rollouts."""

from __future__ import annotations

from sf_core.cfg.option import AUTO, BOOL, INT, INT_OR_AUTO, STR, TABLE, Option, OptionGroup

_PARALLEL = "no effect in serial mode"

ENGINE = OptionGroup(
    "engine",
    "processes and how they share the work",
    (
        Option(
            name="serial_mode",
            type=BOOL,
            default=False,
            help="everything in this process, in a fixed order: the same seed gives the same bits",
            differs="deterministic",
        ),
        Option(
            name="async_rl",
            type=BOOL,
            default=True,
            help=f"collect while training (True) or in turns (False); {_PARALLEL}",
        ),
        Option(
            name="num_workers",
            type=INT_OR_AUTO,
            default=AUTO,
            low=1,
            help="processes that step environments; auto: one per core, fewer where the batch does not divide evenly "
            "or memory is short",
            differs="`auto` by default (there: the number of logical cores)",
        ),
        Option(
            name="num_envs_per_worker",
            type=INT_OR_AUTO,
            default=AUTO,
            low=1,
            help="environments of each of them; auto: as many in all as fill a batch with one rollout each, fewer slow "
            "ones in an asynchronous run",
            differs="`auto` by default (there: 2)",
        ),
        Option(
            name="worker_num_splits",
            type=INT,
            default=2,
            low=1,
            help=f"groups of environments per worker; 2 steps one while the other waits for actions; {_PARALLEL}",
        ),
        Option(
            name="policy_workers_per_policy",
            type=INT,
            default=1,
            low=1,
            help=f"inference processes per policy; {_PARALLEL}",
        ),
        Option(
            name="num_policies",
            type=INT,
            default=1,
            low=1,
            unavailable="training several policies at once is not part of this version",
            help="policies trained together",
        ),
        Option(
            name="num_batches_to_accumulate",
            type=INT,
            default=1,
            low=1,
            help="filled datasets, the one in training among them, before sampling pauses: fewer mean younger data; "
            f"{_PARALLEL}",
            differs="there 2; with 1, data are one dataset old, and sampling waits only for a slower learner",
        ),
        Option(
            name="torch_threads",
            type=INT,
            default=0,
            low=0,
            help="threads that torch computes with; 0 means every core this process may use",
            differs="new (there one thread, in parallel mode)",
        ),
        Option(
            name="decorrelate_experience_max_seconds",
            type=INT,
            default=0,
            low=0,
            help="longest wait of a worker before its first rollout, to spread workers in time: worker i waits "
            f"i/num_workers of it; {_PARALLEL}, in turns (--async_rl=False) and with --benchmark=True",
        ),
        Option(
            name="decorrelate_envs_on_one_worker",
            type=BOOL,
            default=True,
            help="environment k of a worker first takes k rollouts of random steps, 5,000 in all at most; no effect on "
            "native vector environments",
            differs="a worker takes 5,000 random steps at most (there no limit), and the episodes they begin are not "
            "reported",
        ),
        Option(
            name="actor_worker_gpus",
            type=INT,
            default=[],
            many=True,
            low=0,
            help="GPUs that environments may use, one for each worker, in turns (sets CUDA_VISIBLE_DEVICES there); not "
            f"set, they see what the run sees; {_PARALLEL}",
        ),
        Option(
            name="set_workers_cpu_affinity",
            type=BOOL,
            default=True,
            help=f"pin workers to cores; {_PARALLEL}",
        ),
        Option(
            name="force_envs_single_thread",
            type=BOOL,
            default=False,
            help=f"hold numerical libraries in workers to one thread; {_PARALLEL}",
        ),
        Option(
            name="default_niceness",
            type=INT,
            default=0,
            help=f"niceness of learner, inference and workers; {_PARALLEL}",
            differs="one niceness for all: workers that had to yield to the learner would leave cores idle, since "
            "inference waits for them; they are held back by the slots instead",
        ),
        Option(
            name="benchmark",
            type=BOOL,
            default=False,
            help=f"leave out waits that only help learning; {_PARALLEL}",
        ),
        Option(
            name="batched_sampling",
            type=BOOL,
            default=False,
            automatic="environments are always stepped as one batch per worker",
            help="chooses the vectorised sampler",
        ),
    ),
)

ENVIRONMENT = OptionGroup(
    "environment",
    "what environments are told, and how their steps are counted",
    (
        Option(
            name="env_frameskip",
            type=INT,
            default=1,
            low=1,
            help="simulated frames per action: what env factories use and what env steps are counted with",
        ),
        Option(
            name="env_framestack",
            type=INT,
            default=1,
            low=1,
            help="frames in one observation, for factories that stack them",
        ),
        Option(
            name="reward_shaping",
            type=TABLE,
            default=None,
            help="weights of the reward that differ from the environment's own, as JSON, for environments with "
            "RewardShapingInterface",
            differs="new",
        ),
        Option(
            name="pixel_format",
            type=STR,
            default="CHW",
            choices=("CHW", "HWC"),
            help="layout of images, for factories that offer both",
        ),
        Option(
            name="summaries_use_frameskip",
            type=BOOL,
            default=True,
            help="count simulated frames (True) or policy steps (False) in env steps, FPS and lengths",
        ),
        Option(
            name="use_env_info_cache",
            type=BOOL,
            default=False,
            automatic="spaces are always asked of the environment itself, which costs one short-lived process",
            help="reuse stored spaces of an environment",
        ),
        Option(
            name="env_gpu_actions",
            type=BOOL,
            default=False,
            automatic="each environment gets actions in the form its adapter needs",
            help="the environment wants its actions as tensors on the GPU",
        ),
        Option(
            name="env_gpu_observations",
            type=BOOL,
            default=True,
            automatic="observations are read where the environment leaves them",
            help="the environment gives its observations as tensors on the GPU",
        ),
        Option(
            name="use_record_episode_statistics",
            type=BOOL,
            default=False,
            automatic="returns are always those of whole episodes, before scaling and clipping",
            help="count whole episodes",
        ),
        Option(
            name="episode_counter",
            type=BOOL,
            default=False,
            automatic="sf-eval counts episodes itself",
            help="number the episodes in their statistics",
        ),
    ),
)
