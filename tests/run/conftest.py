"""A run of two seconds that others are compared with."""

import pytest

from tests.runs import rows


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    from tests.conftest import tiny_config as fixture

    config = fixture.__wrapped__() | {"checkpoint": dict(every=None, keep=2)}
    return config, rows(config, tmp_path_factory.mktemp("reference"))
