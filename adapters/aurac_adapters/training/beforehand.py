"""What a training is refused for before PyTorch is imported, which takes longer than all of this."""

from __future__ import annotations

from aurac.base_model import check_folder, check_no_adapter
from aurac.writing import check_can_be_written
from aurac_adapters.data.dataset import check_data
from aurac_adapters.folder.sidecar import check_folder as check_adapter_folder
from aurac_adapters.training import record
from aurac_adapters.training.config import TrainingConfig


def check_beforehand(config: TrainingConfig) -> None:
    """Raise what `train` would raise of names, paths and the folder that it is to write into.

    Raises:
        AdapterError: If there is no folder of the adapter to begin with.
        DataError: If there is no such file of data.
        ModelError: If there is no such folder of a base model, or it holds an adapter.
        RecordError: If the folder holds something else, or another training.
        UnknownNameError: If there is no such set of data.
        OSError: If the folder cannot be written.
    """
    if config.start is None:
        record.read(config.out, config.identity())
    else:  # what it is compared by needs the weights of the adapter
        check_adapter_folder(config.start)
        record.check_place(config.out)
    check_can_be_written(config.out)
    check_no_adapter(config.model)
    check_folder(config.model)
    check_data(config.data)
