"""`hal check` and `hal devices`: what there is, without touching hardware."""

from __future__ import annotations

from hal.app import plan
from hal.cli_arguments import Arguments
from hal.cli_chaos import chaos_lines
from hal.cli_plan import plan_lines
from hal.cli_report import plain, say
from hal.config import ParameterInfo, PluginInfo, list_plugins


def check(arguments: Arguments) -> int:
    """Print what CONFIG makes, and what a plan comes to; errors are raised."""
    checked = plan(
        arguments.config,
        overrides=arguments.overrides,
        settings=arguments.settings,
        simulation=arguments.simulation,
        chaos=arguments.chaos,
    )
    spec = checked.spec
    say(f"{spec.file}: ok: {spec.name}")
    say(f"data go to {spec.directory}")
    for world in checked.worlds:
        state = world.spec.state or "new at each start"
        say(f"  {world.spec.name}: {world.spec.class_name} (world; state: {state})")
    for module in checked.modules:
        driver = module.driver_class
        text = f"  {module.spec.name}: {module.spec.class_name}"
        if driver is not None:
            text += f", driver {driver.__module__}.{driver.__name__}"
        if module.is_simulated:
            text += " (simulated)"
        if not module.spec.file:
            text += " (added by HAL)"
        say(text)
    for line in chaos_lines(checked):
        say(line)
    if arguments.plan is not None:
        for line in plan_lines(arguments.plan, checked):
            say(line)
    return 0


def devices(arguments: Arguments) -> int:
    """Print every installed driver and module."""
    found = list_plugins()
    if arguments.json:
        say(plain(found))
        return 0
    for group, title in (
        ("hal.drivers", "Drivers"),
        ("hal.modules", "Modules"),
        ("hal.worlds", "Worlds"),
    ):
        say(f"{title} (entry points {group}):")
        if not any(plugin.group == group for plugin in found):
            say("  none: is HAL installed in this Python? Run `python3 tools/start.py`")
        for plugin in found:
            if plugin.group == group:
                _print_plugin(plugin)
    return 0


def _print_plugin(plugin: PluginInfo) -> None:
    if plugin.error:
        say(f"  {plugin.name}: cannot be used: {plugin.error}")
        return
    kind = f" [{plugin.kind}]" if plugin.kind else ""
    say(f"  {plugin.name}{kind}: {plugin.summary}")
    for need in plugin.needs:
        state = "installed" if need.installed else "NOT INSTALLED"
        say(f"      needs {need.package}: {state}")
    if plugin.simulated_by:
        say(f"      simulated by {plugin.simulated_by}")
    for parameter in plugin.parameters:
        say(f"      {_describe(parameter)}")


def _describe(parameter: ParameterInfo) -> str:
    """Return `exposure_s = 0.01 s (0 to 60, live): Exposure.`."""
    value = "required" if parameter.required else f"{parameter.default!r}"
    unit = f" {parameter.unit}" if parameter.unit else ""
    facts = []
    if parameter.low is not None or parameter.high is not None:
        low = "" if parameter.low is None else f"{parameter.low} "
        high = "" if parameter.high is None else f" {parameter.high}"
        facts.append(f"{low}to{high}")
    if parameter.choices:
        facts.append("one of " + ", ".join(parameter.choices))
    if parameter.live:
        facts.append("live")
    limits = f" ({', '.join(facts)})" if facts else ""
    return f"{parameter.name} = {value}{unit}{limits}: {parameter.help}"
