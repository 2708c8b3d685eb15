import pytest

from sf_core.cfg.option import BOOL, FLOAT, INT, INT_OR_AUTO, STR, Option, value_type_of
from sf_core.cfg.options import OPTION_GROUPS, core_options
from sf_core.utils.errors import UsageError


def option(**fields):
    return Option(**{"name": "x", "type": INT, "default": 0, "help": "", **fields})


@pytest.mark.parametrize(
    ("text", "number"),
    [("7", 7), ("1e7", 10_000_000), ("10_000_000", 10_000_000), (3.0, 3), ("-1", -1), ("1e10", 10**10)],
)
def test_integers_are_read_in_every_usual_spelling(text, number):
    value = option().convert(text)
    assert value == number
    assert type(value) is int


@pytest.mark.parametrize("text", ["abc", "1.5", "", "inf", "nan", True, None, [1]])
def test_what_is_no_integer_is_refused_in_a_sentence(text):
    with pytest.raises(UsageError, match="is not an integer"):
        option().convert(text)


@pytest.mark.parametrize(
    ("text", "truth"), [("True", True), ("false", False), ("yes", True), ("0", False), (True, True)]
)
def test_booleans_are_words_or_truth_values(text, truth):
    assert option(type=BOOL).convert(text) is truth


@pytest.mark.parametrize("text", ["maybe", "", 1, 0.0])
def test_what_is_neither_true_nor_false_is_refused(text):
    with pytest.raises(UsageError, match="is not True or False"):
        option(type=BOOL).convert(text)


def test_numbers_take_integers_but_not_booleans_or_nan():
    assert option(type=FLOAT).convert(2) == 2.0
    for bad in (True, "nan", "x"):
        with pytest.raises(UsageError, match="is not a number"):
            option(type=FLOAT).convert(bad)


def test_auto_is_a_word_beside_integers():
    workers = option(type=INT_OR_AUTO, low=1)
    assert workers.convert("AUTO") == "auto"
    assert workers.convert("8") == 8
    with pytest.raises(UsageError, match="too small; the smallest value is 1"):
        workers.convert("0")


def test_bounds_are_said_in_the_refusal():
    with pytest.raises(UsageError, match=r"--x=1.5 is not between 0 and 1\."):
        option(type=FLOAT, low=0, high=1).convert("1.5")
    with pytest.raises(UsageError, match="must be above 0"):
        option(type=FLOAT, above=0).convert(0)


def test_choices_are_listed_in_the_refusal():
    with pytest.raises(UsageError, match=r"gru-2 is not one of gru, lstm\."):
        option(type=STR, choices=("gru", "lstm")).convert("gru-2")


def test_none_is_a_value_only_where_it_is_the_default():
    assert option(default=None).convert("none") is None
    assert option(default=None).convert(None) is None
    with pytest.raises(UsageError):
        option(default=3).convert("none")


def test_lists_are_read_from_lists_and_from_texts_with_commas():
    layers = option(default=[], many=True)
    assert layers.convert([512, "1e2"]) == [512, 100]
    assert layers.convert("512,256") == [512, 256]
    assert layers.convert("") == []
    with pytest.raises(UsageError, match=r"--x=512 is not a list; write \[512\]"):
        layers.convert(512)


def test_the_types_of_plugin_arguments_read_like_those_of_the_core():
    assert value_type_of(int) is INT
    assert value_type_of(bool) is BOOL
    minutes = value_type_of(lambda text: 60 * int(text))
    assert minutes.convert("2") == 120
    assert minutes.convert(5) == 5


def test_every_default_of_the_core_is_a_value_that_its_option_accepts():
    for group in OPTION_GROUPS:
        for each in group.options:
            assert each.convert(each.default) == each.default, each.name


def test_no_flag_is_declared_twice():
    names = [word for group in OPTION_GROUPS for o in group.options for word in (o.flag, *o.short)]
    assert len(names) == len(set(names))
    assert len(core_options()) == sum(len(group.options) for group in OPTION_GROUPS)


# Sample Factory's command line (its reference lists 134 flags) with its defaults, but for those that differ on purpose.
TEXT = """
algo=APPO env=None experiment=default_experiment restart_behavior=resume seed=None num_policies=1 async_rl=True
serial_mode=False batched_sampling=False worker_num_splits=2 policy_workers_per_policy=1
max_policy_lag=1000 batch_size=1024 num_batches_per_epoch=1 num_epochs=1 rollout=32 recurrence=-1
shuffle_minibatches=False gamma=0.99 reward_scale=1.0 reward_clip=1000.0 value_bootstrap=False
normalize_returns=True exploration_loss_coeff=0.003 value_loss_coeff=0.5 kl_loss_coeff=0.0 exploration_loss=entropy
gae_lambda=0.95 ppo_clip_ratio=0.1 ppo_clip_value=1.0 with_vtrace=False vtrace_rho=1.0 vtrace_c=1.0 optimizer=adam
adam_eps=1e-06 adam_beta1=0.9 adam_beta2=0.999 max_grad_norm=4.0 learning_rate=0.0001 lr_schedule=constant
lr_schedule_kl_threshold=0.008 lr_adaptive_min=1e-06 lr_adaptive_max=0.01 obs_subtract_mean=0.0 obs_scale=1.0
normalize_input=True normalize_input_keys=None decorrelate_experience_max_seconds=0
decorrelate_envs_on_one_worker=True actor_worker_gpus=[] set_workers_cpu_affinity=True
force_envs_single_thread=False default_niceness=0 log_to_file=True experiment_summaries_interval=10
flush_summaries_interval=30 stats_avg=100 summaries_use_frameskip=True heartbeat_interval=20
heartbeat_reporting_interval=180 train_for_env_steps=10000000000 train_for_seconds=10000000000 save_every_sec=120
keep_checkpoints=2 load_checkpoint_kind=latest save_milestones_sec=-1 save_best_every_sec=5 save_best_metric=reward
save_best_after=100000 benchmark=False encoder_mlp_layers=[512,512] encoder_conv_architecture=convnet_simple
encoder_conv_mlp_layers=[512] use_rnn=True rnn_size=512 rnn_type=gru rnn_num_layers=1 decoder_mlp_layers=[]
nonlinearity=elu policy_initialization=orthogonal policy_init_gain=1.0 actor_critic_share_weights=True
adaptive_stddev=True continuous_tanh_scale=0.0 initial_stddev=1.0 use_env_info_cache=False env_gpu_actions=False
env_gpu_observations=True env_frameskip=1 env_framestack=1 pixel_format=CHW use_record_episode_statistics=False
episode_counter=False fps=0 eval_env_frameskip=None no_render=False save_video=False video_frames=1000000000
video_name=None max_num_frames=1000000000 max_num_episodes=1000000000 push_to_hub=False hf_repository=None
policy_index=0 eval_deterministic=False train_script=None enjoy_script=None csv_folder_name=None with_wandb=False
wandb_user=None wandb_project=sample_factory wandb_group=None wandb_job_type=SF wandb_tags=[] with_pbt=False
pbt_mix_policies_in_one_env=True pbt_period_env_steps=5000000 pbt_start_mutation=20000000 pbt_replace_fraction=0.3
pbt_mutation_rate=0.15 pbt_replace_reward_gap=0.1 pbt_replace_reward_gap_absolute=1e-06 pbt_optimize_gamma=False
pbt_target_objective=true_objective pbt_perturb_min=1.1 pbt_perturb_max=1.5
"""
SAMPLE_FACTORY = TEXT.split()
OTHER_DEFAULT = {
    "help",
    "device",
    "train_dir",
    "num_workers",
    "num_envs_per_worker",
    "num_batches_to_accumulate",
    "sample_env_episodes",
    "wandb_dir",
}


@pytest.mark.parametrize("entry", SAMPLE_FACTORY)
def test_every_flag_of_sample_factory_is_there_with_its_default(entry):
    name, _, default = entry.partition("=")
    assert str(core_options()[name].default).replace(" ", "") == str(_literal(default)).replace(" ", "")


def test_flags_whose_default_differs_say_so():
    assert len(SAMPLE_FACTORY) + len(OTHER_DEFAULT) == 134
    flags = {word for o in core_options().values() for word in (o.flag, *o.short)}
    assert {f"--{name}" for name in OTHER_DEFAULT} <= flags
    for name in OTHER_DEFAULT - {"help", "sample_env_episodes", "wandb_dir"}:
        assert core_options()[name].differs, name


def _literal(text):
    try:
        return float(text) if "." in text or "e-" in text else text
    except ValueError:
        return text
