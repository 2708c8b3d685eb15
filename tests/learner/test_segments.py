import torch

from sf_core.learner.segments import select_rows, to_segments


def test_segments_are_consecutive_steps_of_one_rollout():
    x = torch.arange(12).reshape(2, 6)  # B = 2, T = 6
    assert to_segments(x, 3).tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    assert to_segments(x[..., None], 1).shape == (12, 1, 1)


def test_slices_are_views_and_indices_are_copies():
    x = torch.arange(12).reshape(4, 3)
    part = select_rows(x, slice(1, 3))
    assert part.tolist() == [[3, 4, 5], [6, 7, 8]]
    assert part.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
    assert select_rows(x, torch.tensor([3, 0])).tolist() == [[9, 10, 11], [0, 1, 2]]


def test_gathered_images_stay_channels_last():
    images = (
        torch.randn(6, 3, 5, 7).contiguous(memory_format=torch.channels_last).unflatten(0, (3, 2))
    )  # [G, L, C, H, W]
    index = torch.tensor([2, 0])
    part = select_rows(images, index)
    assert torch.equal(part, images[[2, 0]])
    assert part.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
    assert select_rows(images.contiguous(), index).is_contiguous()
