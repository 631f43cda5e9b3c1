# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Importers of dma-bufs: what reaches the device by DMA, what they are told, and what becomes of them when a buffer ends.
# shellcheck source=/dev/null
. lab.sh
needs importctl

check "the importer is there" test -c /dev/barbroker-importer
shm0=$(address_of shm0)

# Plain vfio-pci.
check "an importer maps a buffer, uses it, and loses it when the device is closed" importctl \
    "open d $shm0" "export b d 2 0x4000+0x2000" "poke d 2 0x4010 0x600d0001" "poke d 2 0x5ffc 0x600d0002" \
    "attach i b" "status i" "map i" "status i" "read i 0x10" "read i 0x1ffc" "write i 0x20 0xd0a" "peek d 2 0x4020" "map i" \
    "attach second b" "map second" "unmap second" "map second" "status second" \
    "close d" "status i" "status second" "read i 0x10" "stale-read i 0x10" "map i" "attach late b" "unmap i" "detach i" "status i" "close b" "close i"
expect_grep "attached is not mapped" '^status i: ok attached 1 mapped 0 told 0 '
expect_grep "the mapping has the buffer's size" '^status i: ok attached 1 mapped 1 told 0 segments 1 address 0x[1-9a-f][0-9a-f]* length 0x2000$'
expect_grep "its DMA reads the device's memory" '^read i 0x10: ok 0x600d0001$'
expect_grep "to the end" '^read i 0x1ffc: ok 0x600d0002$'
expect_grep "and writes it" '^peek d 2 0x4020: ok 0xd0a$'
expect_grep "it maps once" '^map i: EBUSY$'
expect_grep "an importer beside it maps too" '^status second: ok attached 1 mapped 1 told 0 '
expect_grep "the device is closed while both have it mapped" '^close d: ok$'
expect_grep "the first is told and unmapped" '^status i: ok attached 1 mapped 0 told 1 '
expect_grep "so is the second" '^status second: ok attached 1 mapped 0 told 1 '
expect_grep "there is no mapping to read by" '^read i 0x10: ENOTCONN$'
expect_grep "the IOMMU refuses who knows the old address" '^stale-read i 0x10: ok 0x(0|ffffffff)$'
expect_grep "a dead buffer is not mapped again" '^map i: ENODEV$'
expect_grep "nor has it new importers" '^attach late b: ENODEV$'
expect_grep "the importer can go" '^status i: ok attached 0 mapped 0 '

check "importers that vfio-pci does not take" importctl "open d $shm0" "export b d 2 0x0+0x1000" \
    "attach i b no-p2p" "attach i b not-revocable" "attach i b no-p2p not-revocable" "attach i b" "map i"
expect_grep "one that does not do peer-to-peer" '^attach i b no-p2p: EOPNOTSUPP$'
expect_grep "one that cannot be told" '^attach i b not-revocable: EOPNOTSUPP$'
expect_grep "one that is neither" '^attach i b no-p2p not-revocable: EOPNOTSUPP$'
expect_grep "one that is both is taken" '^map i: ok$'

# dma_buf_phys_vec_to_sgt of 7.2 and 7.3 links every range at the start of the same IOVA space, so that the second is in the first one's way.
check "a buffer of several ranges" importctl "open d $shm0" "export b d 2 0x4000+0x1000,0x0+0x2000" "attach i b" "map i"
expect_grep "is mapped, or refused by kernels that cannot" '^map i: (ok|EADDRINUSE)$'

check "an importer that lets go late" importctl "open d $shm0" "export b d 2 0x0+0x1000" "poke d 2 0x0 0xabcd" \
    "attach i b" "mode i late 1500" "map i" "& close d" "told i 5000" "pending 300" "status i" "read i 0x0" "join 20000" "status i"
expect_grep "is told" '^told i 5000: ok 1$'
expect_grep "closing the device waits for it" '^pending 300: ok$'
expect_grep "it can still reach the device" '^read i 0x0: ok 0xabcd$'
expect_grep "then the device is closed" '^join 20000: ok  *close d: ok$'
expect_grep "and it has let go" '^status i: ok attached 1 mapped 0 told 1 '

check "an importer that does not let go" importctl "open d $shm0" "export b d 2 0x0+0x1000" \
    "attach i b" "mode i hold" "map i" "& close d" "told i 5000" "pending 2000" "unmap i" "join 20000"
expect_grep "holds up the closing of the device" '^pending 2000: ok$'
expect_grep "until it does" '^join 20000: ok  *close d: ok$'

check "the exporter dies with an importer that does not let go" sh -c "
    importctl 'open d $shm0' 'export b d 2 0x0+0x1000' 'attach i b' 'mode i hold' 'map i' 'sleep 60000' >/tmp/dying.out 2>&1 &
    for i in \$(seq 100); do ! grep -q 'map i: ok' /tmp/dying.out || break; sleep 0.1; done
    grep -q 'map i: ok' /tmp/dying.out && kill -9 \$! && ! wait \$!"
check "and the device is free again" wait_until 20 "shm0" vfiocheck "$shm0"

if [ ! -d /sys/bus/pci/drivers/vfio-bar-lease ]; then
    skip "importers of vfio-bar-lease's buffers" "there is no kernel/ in this tree"
    done_testing
fi

# vfio-bar-lease.
lease0=$(address_of lease0)
lease1=$(address_of lease1)
check "one buffer of several is revoked" importctl "open d $lease0" "export b d 2 0x4000+0x2000" "export other d 2 0x8000+0x1000" \
    "poke d 2 0x4010 0x600d0001" "poke d 2 0x8010 0x600d0002" "attach i b" "map i" "attach o other" "map o" "read i 0x10" "read o 0x10" "state b d" \
    "revoke b d" "state b d" "state other d" "status i" "status o" "read i 0x10" "stale-read i 0x10" "read o 0x10" "map i" "attach late b" "revoke b d" \
    "peek d 2 0x4010" "export b2 d 2 0x4000+0x1000" "attach i2 b2" "map i2" "read i2 0x10" "close d" "status o" "map o" "map i2"
expect_grep "its importer's DMA reads the device's memory" '^read i 0x10: ok 0x600d0001$'
expect_grep "it is live" '^state b d: ok live$'
expect_grep "revoke succeeds" '^revoke b d: ok$'
expect_grep "then it is revoked" '^state b d: ok revoked$'
expect_grep "its importer is told and unmapped" '^status i: ok attached 1 mapped 0 told 1 '
expect_grep "the IOMMU refuses who knows the old address" '^stale-read i 0x10: ok 0x(0|ffffffff)$'
expect_grep "it is not mapped again" '^map i: ENODEV$'
expect_grep "nor has it new importers" '^attach late b: ENODEV$'
expect_grep "a second revoke says so" '^revoke b d: EBADFD$'
expect_grep "the other buffer is live" '^state other d: ok live$'
expect_grep "and its importer reads on" '^read o 0x10: ok 0x600d0002$'
expect_grep "the memory is as it was" '^peek d 2 0x4010: ok 0x600d0001$'
expect_grep "a new buffer over the same bytes can be imported" '^read i2 0x10: ok 0x600d0001$'
expect_grep "closing the device tells the other importer" '^status o: ok attached 1 mapped 0 told 1 '
expect_grep "whose buffer is dead then" '^map o: ENODEV$'
expect_grep "as is the newest" '^map i2: ENODEV$'

check "importers that vfio-bar-lease does not take" importctl "open d $lease0" "export b d 2 0x0+0x1000" "attach i b no-p2p" "attach i b not-revocable" "attach i b" "map i"
expect_grep "one that does not do peer-to-peer" '^attach i b no-p2p: EOPNOTSUPP$'
expect_grep "one that cannot be told" '^attach i b not-revocable: EOPNOTSUPP$'
expect_grep "one that is both is taken" '^map i: ok$'

check "a buffer of several ranges" importctl "open d $lease0" "poke d 2 0x4010 0x600d0001" "poke d 2 0x1ffc 0x600d0002" \
    "export b d 2 0x4000+0x1000,0x0+0x2000" "attach i b" "map i" "read i 0x10" "read i 0x2ffc"
expect_grep "is mapped, or refused by kernels that cannot" '^map i: (ok|EADDRINUSE)$'
if grep -q '^map i: ok$' /tmp/check.out; then
    expect_grep "its first range is first" '^read i 0x10: ok 0x600d0001$'
    expect_grep "its second follows" '^read i 0x2ffc: ok 0x600d0002$'
fi

check "an importer that lets go late makes revoke wait" importctl "open d $lease0" "export b d 2 0x0+0x1000" \
    "attach i b" "mode i late 1500" "map i" "& revoke b d" "told i 5000" "pending 300" "join 20000" "status i"
expect_grep "while it has not" '^pending 300: ok$'
expect_grep "then the revoke succeeds" '^join 20000: ok  *revoke b d: ok$'
expect_grep "and it is unmapped" '^status i: ok attached 1 mapped 0 told 1 '

check "an importer that never lets go hangs this revoke" importctl "open d $lease0" "open e $lease1" \
    "export b d 2 0x0+0x1000" "export other d 2 0x1000+0x1000" "export far e 2 0x0+0x1000" "attach i b" "mode i hold" "map i" "attach o other" "map o" "attach f far" "map f" \
    "& revoke b d" "told i 5000" "pending 300" "revoke other d" "status o" "revoke far e" "status f" "export new d 2 0x1000+0x1000" "attach n new" "map n" \
    "peek d 2 0x0" "pending 100" "unmap i" "join 20000" "map i"
expect_grep "alone: another buffer of the device is revoked meanwhile" '^revoke other d: ok$'
expect_grep "so that its importer is unmapped" '^status o: ok attached 1 mapped 0 told 1 '
expect_grep "another device's buffer is revoked" '^revoke far e: ok$'
expect_grep "a new buffer is exported and imported" '^map n: ok$'
expect_grep "all that while the first waits" '^pending 100: ok$'
expect_grep "when it lets go at last, the revoke succeeds" '^join 20000: ok  *revoke b d: ok$'
expect_grep "and the buffer is dead" '^map i: ENODEV$'

check "an importer through a reset" importctl "open d $lease0" "export b d 2 0x0+0x1000" "poke d 2 0x0 0xabcd" "attach i b" "map i" "reset d" "state b d" \
    "status i" "map i" "read i 0x0" "revoke b d" "map i"
expect_grep "the reset succeeds" '^reset d: ok$'
expect_grep "the buffer is live after" '^state b d: ok live$'
expect_grep "the importer was told" '^status i: ok attached 1 mapped 0 told [1-9]'
expect_grep "it maps again" '^map i: ok$'
expect_grep "and reads" '^read i 0x0: ok 0xabcd$'

done_testing
