# Graft's build: GNU make, non-recursive. Each directory contributes one small
# module.mk, written with the templates of mk/rules.mk; `make help` lists the
# targets. One output directory a mode: build/release, build/debug, ...

MODE ?= release
O    := build/$(MODE)

.DEFAULT_GOAL := all
.SECONDEXPANSION:
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

include mk/flags.mk
include mk/rules.mk

MODULES := $(sort $(shell find abi lib kernel framework drivers services vmm hosts tools tests bench \
             -name module.mk 2>/dev/null))
include $(MODULES)

# What an image is made of, without the tests' own programs.
SYSTEM := $(addprefix $(O)/bin/,core init uart rtc terminal vmm)

.PHONY: all system clean help
all: $(ALL)
system: $(O)/graft.elf32 $(SYSTEM)
clean:
	rm -rf build
help:
	@sed -n 's/^# help: //p' Makefile mk/*.mk $(MODULES)
# help: make                 build everything for this MODE
# help: make system          build only what an image is made of
# help: make clean           remove all that was built
# help: MODE=release|debug|asan|tsan|cov|fuzz, CC=gcc|clang select the build

-include $(DEPS)
