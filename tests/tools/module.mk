# The unit test of the runner's decoder and script.
$(eval $(call unittest,unit-tools-runner,tests/tools/runner.c hosts/linux/frames.c tools/qemu-run/steps.c tests/unit/tap.c,,hosts/linux tools tests/unit))
