"""Beam's local runner, which says which stage of how many it is in."""

from typing import Any

from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from bitextile.pipelines.runner.progress import Stages


class LocalRunner(FnApiRunner):
    """Runs a pipeline on this machine, stage by stage."""

    def __init__(self, stages: Stages) -> None:
        """Takes what is told of the stages."""
        super().__init__()
        self._told = stages

    def run_stages(self, stage_context: Any, stages: list[Any]) -> Any:
        """Runs the stages, as Beam has fused them."""
        self._told.total = len(stages)
        return super().run_stages(stage_context, stages)

    def _execute_bundle(self, context: Any, manager: Any, *rest: Any) -> Any:
        self._told.begin(manager.stage.name)
        return super()._execute_bundle(context, manager, *rest)
