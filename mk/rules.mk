# Templates for module.mk files.
#
# A header is included by its path from the top ("lib/list.h"). A directory can
# reach another directory's headers only if it names it in its USES list: the
# compiler gets one include root per name, each holding a link to that directory.
#
#   $(eval $(call library,NAME,FLAVOURS,SOURCES,USES))
#       build/MODE/FLAVOUR/libNAME.a for each flavour of: kernel user host
#   $(eval $(call component,NAME,SOURCES,LIBRARIES,USES))
#       build/MODE/bin/NAME, a component for the microhypervisor
#   $(eval $(call program,NAME,SOURCES,LIBRARIES,USES,LINK FLAGS))
#       build/MODE/host/bin/NAME, a program for Linux
#   $(eval $(call unittest,NAME,SOURCES,LIBRARIES,USES,LINK FLAGS))
#       a program that speaks TAP, run by `make unit`

ALL   :=
DEPS  :=
UNIT  :=

inc-roots = $(foreach d,$(1),-Ibuild/inc/$(subst /,-,$(d)))
inc-links = $(foreach d,$(1),build/inc/$(subst /,-,$(d))/.stamp)

# build/inc/<name>/<path> is a link to <path> at the top of the tree.
build/inc/%/.stamp:
	@mkdir -p $(@D)/$(dir $(subst -,/,$*))
	@ln -sfn $(CURDIR)/$(subst -,/,$*) $(@D)/$(subst -,/,$*)
	@touch $@

objs = $(addprefix $(O)/$(1)/,$(addsuffix .o,$(2)))

# compile-rules,FLAVOUR,SOURCES,USES
define compile-rules
$(call objs,$(1),$(2)): INCLUDES := $(call inc-roots,$(3))
$(call objs,$(1),$(2)): | $(call inc-links,$(3))
DEPS += $(patsubst %.o,%.d,$(call objs,$(1),$(2)))
endef

define library
$(foreach f,$(2),$(call compile-rules,$(f),$(3),$(4))
$(O)/$(f)/lib$(1).a: $(call objs,$(f),$(3))
)
endef

define component
$(call compile-rules,user,$(2),$(4))
$(O)/bin/$(1): $(call objs,user,$(2)) $(foreach l,$(3),$(O)/user/lib$(l).a) mk/component.ld
ALL += $(O)/bin/$(1)
endef

define program
$(call compile-rules,host,$(2),$(4))
$(O)/host/bin/$(1): EXTRA := $(5)
$(O)/host/bin/$(1): $(call objs,host,$(2)) $(foreach l,$(3),$(O)/host/lib$(l).a)
endef

define unittest
$(call program,$(1),$(2),$(3),$(4),$(5))
UNIT += $(O)/host/bin/$(1)
endef

define flavour-rules
$(O)/$(1)/%.c.o: %.c
	@mkdir -p $$(@D)
	@echo "  CC    $(1) $$<"
	@$$(CC) $$(CFLAGS-$(1)) $$(CFLAGS-extra-$(1)) $$(INCLUDES) -c $$< -o $$@
$(O)/$(1)/%.S.o: %.S
	@mkdir -p $$(@D)
	@echo "  AS    $(1) $$<"
	@$$(CC) $$(CFLAGS-$(1)) $$(INCLUDES) -c $$< -o $$@
$(O)/$(1)/%.a:
	@mkdir -p $$(@D)
	@rm -f $$@
	@$$(AR) rcsD $$@ $$(filter %.o,$$^)
endef
$(foreach f,kernel user host,$(eval $(call flavour-rules,$(f))))

$(O)/bin/%:
	@mkdir -p $(@D)
	@echo "  LD    $@"
	@$(CC) -static -nostdlib -Wl,--build-id=none -Wl,-z,noexecstack,-z,max-page-size=4096 \
	    -Wl,-T,mk/component.ld -Wl,--gc-sections -o $@ \
	    $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group -lgcc

$(O)/host/bin/%:
	@mkdir -p $(@D)
	@echo "  LD    $@"
	@$(CC) $(LDFLAGS-host) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(EXTRA)

# help: make unit            build and run the unit tests on this machine
# help: make unit-list       their programs
.PHONY: unit unit-build unit-list
unit-build: $$(UNIT)
unit-list:
	@printf '%s\n' $(UNIT)
unit: $$(UNIT)
	prove --nocolor -e '' $(UNIT)

# A fuzz target is a program with libFuzzer's main(); it exists in MODE=fuzz with clang only, which the two targets below select.
FUZZERS :=
define fuzzer
$(call program,fuzz-$(1),$(2),$(3),$(4),-fsanitize=fuzzer $(5))
FUZZERS += $(1)
endef

FUZZ_SECONDS ?= 3600
fuzz-run = $(MAKE) MODE=fuzz CC=clang O=build/fuzz fuzz-run FUZZ_SECONDS=$(1)

# help: make fuzz-short      run every fuzz target, 30 seconds in all
# help: make fuzz-soak       run every fuzz target for FUZZ_SECONDS (an hour) each
.PHONY: fuzz-short fuzz-soak fuzz-run
fuzz-short:
	$(call fuzz-run,$$((30 / $(words $(FUZZERS)))))
fuzz-soak:
	$(call fuzz-run,$(FUZZ_SECONDS))
fuzz-run: $$(foreach f,$$(FUZZERS),$(O)/host/bin/fuzz-$$(f))
	@for f in $(FUZZERS); do \
	    mkdir -p $(O)/corpus/$$f; \
	    echo "  FUZZ  $$f, $(FUZZ_SECONDS) s"; \
	    $(O)/host/bin/fuzz-$$f -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=10 -print_final_stats=1 \
	        -artifact_prefix=$(O)/crash-$$f- \
	        $$(test ! -f tests/fuzz/$$f.dict || echo -dict=tests/fuzz/$$f.dict) \
	        $(O)/corpus/$$f $$(ls -d tests/fuzz/seeds/$$f 2>/dev/null) >$(O)/fuzz-$$f.log 2>&1 || \
	        { tail -40 $(O)/fuzz-$$f.log; exit 1; }; \
	    grep -a stat::number $(O)/fuzz-$$f.log; \
	done
