# Tests of the host interface on Linux: one program a file, each speaking TAP. They link what `graft` does.
linux-unit-test = $(eval $(call unittest,unit-linux-$(1),tests/linux/$(1).c $(2) tests/unit/tap.c,\
    linux vmmengines vmm vmmboot vmmcpu g,hosts/linux vmm lib tests/linux tests/unit,-lseccomp -pthread))

$(call linux-unit-test,options)
$(call linux-unit-test,escape)
$(call linux-unit-test,host)
$(call linux-unit-test,timer)
$(call linux-unit-test,kvm)
$(call linux-unit-test,sandbox)
$(call linux-unit-test,terminal)
$(call linux-unit-test,machine,tests/linux/guest.c)

# A program for a guest (vectors.t).
$(eval $(call program,vectors-guest,tests/linux/vectors.c,,tests,-static))
