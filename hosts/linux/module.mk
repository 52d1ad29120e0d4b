# The VM process as an ordinary program on Linux: `graft`.
# The frames of a command's output are decoded by the same code as in the runner of QEMU.
linux-sources := $(filter-out hosts/linux/main.c,$(sort $(wildcard hosts/linux/*.c))) tools/qemu-run/frames.c
linux-libraries := linux vmmengines vmm vmmboot vmmcpu g

$(eval $(call library,linux,host,$(linux-sources),hosts/linux vmm lib tools))
$(eval $(call program,graft,hosts/linux/main.c,$(linux-libraries),hosts/linux vmm lib tools,-lseccomp -pthread))
ALL += $(O)/host/bin/graft
