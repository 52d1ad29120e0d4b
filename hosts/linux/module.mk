# The VM process as an ordinary program on Linux: `graft`.
linux-sources := $(filter-out hosts/linux/main.c,$(sort $(wildcard hosts/linux/*.c)))
linux-libraries := linux vmmengines vmm vmmboot vmmcpu g

$(eval $(call library,linux,host,$(linux-sources),hosts/linux vmm lib))
$(eval $(call program,graft,hosts/linux/main.c,$(linux-libraries),hosts/linux vmm lib,-lseccomp -pthread))
ALL += $(O)/host/bin/graft
