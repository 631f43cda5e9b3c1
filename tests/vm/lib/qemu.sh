# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# QEMU's command line: the machine, the devices of the table, shares and channels.

# Sets $qemu_accel. KVM counts only when a virtual machine really runs in it: /dev/kvm exists on machines where none does; and on processors
# that let the importer work, which KVM shows to the guest as they are.
qemu_choose_accel() {
    qemu_accel=${BARBROKER_LAB_ACCEL:-auto}
    [[ $qemu_accel == auto ]] || return 0
    qemu_accel=tcg
    if [[ -w /dev/kvm ]] && qemu_kvm_is_hardware && qemu_processor_has_peers && qemu_kvm_works; then qemu_accel=kvm; fi
}

# qemu_kvm_is_hardware [SYSFS]: not by the module kvm_pvm, which is for machines that are virtual themselves and have no support by hardware. In it the boot sector below runs, and a stock kernel does not.
qemu_kvm_is_hardware() { [[ ! -e ${1:-/sys}/module/kvm_pvm ]]; }

# What Linux asks of a processor before devices behind different root ports reach each other's memory, under a host bridge that it does not
# know to be good, such as QEMU's (drivers/pci/p2pdma.c).
qemu_processor_has_peers() {
    awk -F'[ \t]*: ' '$1 == "vendor_id" { vendor = $2 } $1 == "cpu family" { family = $2; exit } END { exit !(vendor == "AuthenticAMD" && family >= 23) }' /proc/cpuinfo
}

# A boot sector that writes 0 to QEMU's exit port, which makes QEMU end with status 1.
qemu_kvm_works() {
    local sector status=0
    sector=$(mktemp)
    { printf '\x31\xc0\xe6\xf4\xf4'; head -c 505 /dev/zero; printf '\x55\xaa'; } >"$sector"
    # In a shell of its own, which keeps to itself what it has to say about an aborted QEMU.
    (timeout --kill-after=1 5 qemu-system-x86_64 -accel kvm -cpu host -m 16M -nodefaults -display none \
        -device isa-debug-exit,iobase=0xf4 -drive "file=$sector,format=raw,readonly=on"; exit) >/dev/null 2>&1 || status=$?
    rm -f "$sector"
    ((status == 1))
}

# Appends to $qemu_args what the table says, and keeps each device in $qemu_devices, by name,
# the size of its memory in $qemu_memory, and its root port in $qemu_ports.
qemu_add_devices() {
    local name place kind rest port seen=" "
    declare -gA qemu_devices=() qemu_memory=() qemu_ports=()
    while read -r name place _ kind rest; do
        [[ -n $name && $name != \#* ]] || continue
        port=${place%%/*}
        if [[ $seen != *" $port "* ]]; then
            seen+="$port "
            qemu_args+=(-device "pcie-root-port,id=port$port,chassis=$((16#$port)),slot=$((16#$port)),bus=pcie.0,addr=0x$port")
            [[ $place != */* ]] || qemu_args+=(-device "pcie-pci-bridge,id=bridge$port,bus=port$port")
        fi
        qemu_ports[$name]=port$port
        if [[ $place == */* ]]; then
            qemu_add_device "$name" "bridge$port,addr=0x${place#*/}" "$kind" "$rest"
        else
            qemu_add_device "$name" "port$port" "$kind" "$rest"
        fi
    done <"$lab_home/devices"
}

qemu_add_device() {
    local name=$1 bus=$2 kind=$3 argument=$4
    case $kind in
        ivshmem)
            qemu_args+=(-object "memory-backend-memfd,id=memory-$name,size=$argument,share=on")
            qemu_devices[$name]="ivshmem-plain,memdev=memory-$name"
            qemu_memory[$name]=$argument ;;
        nic)
            qemu_args+=(-netdev "user,id=net-$name,restrict=on")
            qemu_devices[$name]="$argument,netdev=net-$name" ;;
        disk)
            truncate -s "$argument" "$run/$name.disk"
            qemu_args+=(-drive "if=none,id=drive-$name,format=raw,file=$run/$name.disk")
            qemu_devices[$name]="nvme,serial=$name,drive=drive-$name" ;;
        *) qemu_devices[$name]=$kind ;;
    esac
    qemu_devices[$name]+=",id=$name,bus=$bus"
    qemu_args+=(-device "${qemu_devices[$name]}")
}

# qemu_share TAG DIRECTORY [OPTIONS]
qemu_share() {
    qemu_args+=(-fsdev "local,id=$1,path=$2,security_model=none${3:+,$3}" -device "virtio-9p-pci,fsdev=$1,mount_tag=$1")
}

# qemu_arguments RUN-DIRECTORY [DISK]: sets $qemu_args for $image, with systemd if there is a disk with it, which is /dev/vda; what is written there is gone with the guest. No network, no display, no user configuration.
# no_timer_check: the check counts ticks of the emulated timer within a stretch of real time; on a busy machine it fails, and the kernel panics.
# transparent_hugepage: as the stock kernel has it; else a huge page of a BAR is to be had only after madvise.
# nokaslr, cryptomgr.notests, mitigations=off: only to save time.
qemu_arguments() {
    local run=$1 disk=${2:-} cpu cpus=1 memory=1G clock= init= panic=-1
    [[ -z $disk ]] || init="systemd.unit=lab.target systemd.show_status=false audit=0"
    # Of which an eighth is KASAN's.
    [[ $image != *-debug ]] || memory=2G
    qemu_choose_accel
    if [[ $qemu_accel == kvm ]]; then
        cpu=host
        cpus=2
    else
        # Walking five levels of page tables takes longer than four, and nothing here needs them.
        # Family 23: see qemu_processor_has_peers.
        cpu=max,la57=off,vendor=AuthenticAMD,family=23,model=1,stepping=1
        # One thread: seen with QEMU 7.2's multi-threaded emulation, a processor that ran an instruction after another had patched it
        # away (the kernel dies with "Oops: int3"). One processor: several that take turns of 100 ms would wait for each other.
        qemu_accel=tcg,thread=single
        clock=$("$native/tsckhz")
    fi
    cpus=${BARBROKER_LAB_CPUS:-$cpus}
    # Else a kernel that dies boots again, and ends the guest by that.
    [[ -z ${may_reboot:-} ]] || panic=0
    # shellcheck disable=SC2054 # the commas are QEMU's
    qemu_args=(-nodefaults -no-user-config -display none
        -machine q35,kernel-irqchip=split -accel "$qemu_accel" -cpu "$cpu" -smp "$cpus" -m "${BARBROKER_LAB_MEMORY:-$memory}"
        -kernel "$image/vmlinuz" -initrd "$image/initramfs"
        -append "console=ttyS0 quiet loglevel=5 panic=$panic intel_iommu=on no_timer_check nokaslr cryptomgr.notests mitigations=off transparent_hugepage=always${clock:+ tsc_early_khz=$clock} $init ${BARBROKER_LAB_APPEND:-}"
        -device intel-iommu,intremap=on
        -chardev "file,id=console,path=$run/console.log" -serial chardev:console
        -chardev "stdio,id=output,signal=off,logfile=$run/output.log" -serial chardev:output
        -chardev "pipe,id=control,path=$run/control" -serial chardev:control
        -chardev "pipe,id=qmp,path=$run/qmp" -mon chardev=qmp,mode=control)
    [[ -n ${may_reboot:-} ]] || qemu_args+=(-no-reboot)
    [[ -z $disk ]] || qemu_args+=(-drive "if=none,id=root,format=raw,file=$disk,snapshot=on" -device virtio-blk-pci,drive=root)
    qemu_add_devices
}
