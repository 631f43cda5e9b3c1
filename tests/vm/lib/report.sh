# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Counting the TAP lines of guest scripts.

report_passed=0
report_failed=0
report_skipped=0

# report_add SCRIPT STATUS OUTPUT: counts; what ended badly without a failed check to show for it is one more failure.
report_add() {
    local script=$1 status=$2 output=$3 passed skipped failed
    # A kernel message may sit in the file too; the pattern of a line decides, not its place.
    passed=$(grep -aEc '^ok [0-9]+ - ' "$output" || true)
    skipped=$(grep -aEc '^ok [0-9]+ - .* # SKIP ' "$output" || true)
    failed=$(grep -aEc '^not ok [0-9]+ - ' "$output" || true)
    if ((failed == 0)); then
        if ((status)); then
            failed=1
            echo "not ok - $script ended with status $status"
        elif ((passed)) && ! grep -aqEx "1\.\.$((passed))" "$output"; then
            failed=1
            echo "not ok - $script ended before done_testing"
        fi
    fi
    report_passed=$((report_passed + passed - skipped))
    report_failed=$((report_failed + failed))
    report_skipped=$((report_skipped + skipped))
}

# report_end: the last line of a run; silent when nothing was checked and nothing failed. Fails when something did.
report_end() {
    ((report_passed + report_failed + report_skipped == 0)) ||
        echo "$report_passed passed, $report_failed failed, $report_skipped skipped"
    ((report_failed == 0))
}
