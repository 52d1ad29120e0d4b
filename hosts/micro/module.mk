# The VM process as a component of the microhypervisor.
$(eval $(call component,vmm,$(sort $(wildcard hosts/micro/*.c)),vmm vmmboot vmmcpu component base g,hosts vmm framework abi lib))
