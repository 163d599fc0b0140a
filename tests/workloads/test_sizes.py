"""The sizes that workloads state are settings that their recipes know, each another model."""

from __future__ import annotations

import pytest

from scalarize import workloads


@pytest.mark.parametrize("name", workloads.names())
def test_sizes_are_settings_of_the_recipe_and_differ(name):
    workload = workloads.get(name)
    models = [workload.recipe.override(size.settings).model for size in workload.sizes]
    assert all(set(m) == set(workload.recipe.model) for m in models)  # a misspelt name would be one more
    assert all(models.count(m) == 1 for m in models)
    assert len({size.name for size in workload.sizes}) == len(workload.sizes) > 0
