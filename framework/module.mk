# The framework: libbase (start-up, hypercalls, messages), libroot (start of a root task), libcomponent (start of a
# component, sessions, threads), and the components core and init.
BASE_SOURCES := $(sort $(wildcard framework/base/*.c framework/base/*.S))
COMPONENT_SOURCES := $(sort $(wildcard framework/component/*.c))
CORE_SOURCES := $(sort $(wildcard framework/core/*.c))
INIT_SOURCES := $(sort $(wildcard framework/init/*.c))

$(eval $(call library,base,user,$(BASE_SOURCES),framework abi lib))
$(eval $(call library,root,user,framework/root/start.c,framework abi lib))
$(eval $(call library,component,user,$(COMPONENT_SOURCES),framework abi lib))
$(eval $(call component,core,$(CORE_SOURCES),root base g,framework abi lib))
$(eval $(call component,init,$(INIT_SOURCES),component base g,framework abi lib))
