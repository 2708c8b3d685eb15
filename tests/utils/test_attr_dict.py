import copy
import pickle

import pytest

from sf_core.utils.attr_dict import AttrDict


def test_keys_read_and_write_as_attributes():
    d = AttrDict(worker_index=1)
    d.env_id = 2
    assert (d.worker_index, d["env_id"]) == (1, 2)
    del d.env_id
    assert "env_id" not in d


def test_a_missing_key_behaves_like_a_missing_attribute():
    d = AttrDict()
    with pytest.raises(AttributeError, match="'env_id'"):
        _ = d.env_id
    with pytest.raises(AttributeError):
        del d.env_id
    assert getattr(d, "env_id", 7) == 7
    assert not hasattr(d, "env_id")


@pytest.mark.parametrize("clone", [lambda d: pickle.loads(pickle.dumps(d)), copy.deepcopy, copy.copy, AttrDict.copy])
def test_copies_keep_class_and_content(clone):
    d = clone(AttrDict(a=1, nested=AttrDict(b=2)))
    assert type(d) is AttrDict
    assert d.nested.b == 2
