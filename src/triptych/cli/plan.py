"""triptych plan: what a training run will take."""

from dataclasses import dataclass, field

from triptych.cli.common import Machine
from triptych.recipes.plan_settings import PlanSettings


@dataclass(frozen=True, kw_only=True)
class Options:
    """Plan."""

    settings: PlanSettings
    json: bool = False
    """One JSON object: bytes, operations and seconds, each formula beside its figure."""
    machine: Machine = field(default_factory=Machine)


def run(options: Options) -> int:
    """Nothing is allocated and nothing trained."""
    from triptych.recipes.plan import measured_speed, plan
    from triptych.recipes.plan_report import plan_json, plan_text

    settings, device = options.settings, options.machine.choose()
    found = plan(settings, lambda: measured_speed(settings, device))
    print(plan_json(found) if options.json else plan_text(found))
    return 0
