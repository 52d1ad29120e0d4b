# Compiler flags, by flavour and mode.
#   kernel  privileged, no vector registers, linked at the top of the address space
#   user    a component on the microhypervisor: freestanding, static
#   host    a Linux program: tests, tools, the Linux host

CC      ?= gcc
ifeq ($(origin CC),default)
CC      := gcc
endif
OBJCOPY ?= objcopy
AR      := ar

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
        -Wwrite-strings -Wundef -Wvla -Wpointer-arith -Wimplicit-fallthrough -Wcast-align -Wformat=2 -Werror

BASE := -std=c17 -g -fno-common -fno-strict-aliasing -MMD -MP $(WARN)

OPT-release := -O2
OPT-debug   := -O1 -DGRAFT_ASSERT
OPT-asan    := -O1 -DGRAFT_ASSERT
OPT-tsan    := -O1 -DGRAFT_ASSERT
OPT-cov     := -O0 -DGRAFT_ASSERT
OPT-fuzz    := -O1 -DGRAFT_ASSERT
OPT         := $(OPT-$(MODE))

# What only a program on Linux can carry.
SAN-asan := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
# gcc warns of fences, which that sanitizer does not see; clang has no such warning.
SAN-tsan := -fsanitize=thread -fno-omit-frame-pointer $(if $(findstring clang,$(CC)),,-Wno-tsan)
SAN-cov  := --coverage
SAN-fuzz := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
SAN      := $(SAN-$(MODE))

FREESTANDING := -ffreestanding -fno-stack-protector -fno-pic -fno-pie -fno-asynchronous-unwind-tables

CFLAGS-kernel := $(BASE) $(OPT) $(FREESTANDING) -mcmodel=kernel -mno-red-zone -mgeneral-regs-only
CFLAGS-user   := $(BASE) $(OPT) $(FREESTANDING)
# The recompiler's speed counts here, not the size.
CFLAGS-host   := $(BASE) $(OPT:-O2=-O3) $(SAN) -D_GNU_SOURCE
LDFLAGS-host  := $(SAN)
