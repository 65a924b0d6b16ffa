"""What must hold on a device with a real systemd; `boot` and `boot-arm64` run it there as root.

Each function is one fact, in the order in which a device lives: install, serve, survive,
upgrade, leave. Standard library only.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Sequence

import caring
import machine
import serving
import surviving

FACTS = (
    serving.it_installs_without_a_network,
    serving.the_units_are_sound,
    serving.the_target_is_up,
    serving.the_app_is_healthy,
    serving.a_plc_gets_its_verdict,
    serving.an_upload_is_judged,
    serving.the_page_is_served,
    serving.the_command_knows_the_device,
    serving.the_journal_has_fields,
    serving.the_fast_kernels_are_in_use,
    serving.the_machine_can_be_looked_at,
    serving.the_journal_spares_the_card,
    serving.the_units_are_closed,
    serving.secrets_reach_only_the_programs,
    serving.the_line_comes_first,
    caring.a_new_device_is_well,
    caring.a_fault_is_named,
    caring.a_support_bundle_has_no_secret,
    caring.a_backup_comes_back,
    caring.a_restore_that_was_cut_off_is_completed,
    surviving.a_killed_line_is_back,
    surviving.a_stalled_line_is_back,
    surviving.a_hung_line_says_where,
    surviving.the_line_goes_on_without_the_app,
    surviving.the_shared_folder_stays,
    surviving.everything_stops_in_time,
    surviving.wrong_settings_are_not_tried_again,
    surviving.a_restart_of_the_app_refuses_nobody,
    surviving.an_upgrade_keeps_everything,
    surviving.a_failed_upgrade_goes_back,
    surviving.uninstalling_leaves_the_data,
)

EMULATED = (
    serving.it_installs_without_a_network,
    serving.the_units_are_sound,
    serving.the_target_is_up,
    machine.the_budget_suits_an_emulated_processor,
    serving.the_app_is_healthy,
    serving.a_plc_gets_its_verdict,
    serving.an_upload_is_judged,
    serving.the_page_is_served,
    serving.the_command_knows_the_device,
    serving.the_journal_has_fields,
    serving.the_fast_kernels_are_in_use,
    serving.the_units_are_closed,
    serving.the_line_comes_first,
    caring.a_new_device_is_well,
    caring.a_fault_is_named,
    caring.a_support_bundle_has_no_secret,
    caring.a_backup_comes_back,
    caring.a_restore_that_was_cut_off_is_completed,
    machine.both_runtimes_judge,
    machine.a_v4l2_camera_is_read,
    machine.memory_limits_hold,
    surviving.a_killed_line_is_back,
    surviving.the_line_goes_on_without_the_app,
    surviving.uninstalling_leaves_the_data,
)
"""For a machine with a kernel of its own and a slow processor: no fact about seconds."""


def main(facts: Sequence[Callable[[], str]]) -> int:
    """Hold each fact; the exit status is 0 only if all of them hold."""
    began = time.monotonic()
    broken = []
    for fact in facts:
        started = time.monotonic()
        name = fact.__name__.replace("_", " ")
        try:
            figure = fact()
        except Exception:  # noqa: BLE001 - each fact is looked at, whatever another one raised
            broken.append(name)
            figure = f"DOES NOT HOLD\n{traceback.format_exc()}"
        print(f"{time.monotonic() - started:6.2f} s  {name}: {figure}", flush=True)
    held = len(facts) - len(broken)
    print(f"{held} of {len(facts)} facts hold, {time.monotonic() - began:.0f} s", flush=True)
    for name in broken:
        print(f"DOES NOT HOLD: {name}", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(EMULATED if "--emulated" in sys.argv else FACTS))
