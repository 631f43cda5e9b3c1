# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What the driver's buffers cost, beside vfio-pci's own mmap; the figures go to /out/lab-bench.json.
# shellcheck source=/dev/null
. lab.sh
needs drvbench
check "the driver is measured, and maps by huge pages" drvbench "$(address_of big0)" /out/lab-bench.json
cat /tmp/check.out
done_testing
