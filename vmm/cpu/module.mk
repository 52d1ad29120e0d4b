# libvmmcpu: opcode table, decoder, disassembler, guest page walk and interpreter.
vmmcpu-sources := $(addprefix vmm/cpu/,opcode.c decode.c disasm.c walk.c alu.c debug.c interp.c exec_memory.c exec_operand.c exec_integer.c \
    exec_bmi.c exec_flags.c exec_string.c exec_flow.c exec_segment.c exec_far.c exec_gate.c exec_task.c exec_interrupt.c exec_system.c exec_vector.c \
    exec_sse.c exec_avx.c exec_avx_memory.c exec_random.c exec_x87.c exec_xsave.c xstate.c x87_environment.c host_feature.c host_vector.S host_vex.S)

$(eval $(call library,vmmcpu,user host,$(vmmcpu-sources),vmm lib))
