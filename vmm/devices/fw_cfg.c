/* SPDX-License-Identifier: MIT */
/* The firmware configuration device. */
#include "vmm/devices/fw_cfg.h"

#define ITEM_BYTES 8u
#define SIGNATURE  0x554d4551u // "QEMU"
#define ID_PORTS   1u          // the interface by ports, and no DMA

static const struct device_field fields[] = {
    DEVICE_FIELD(struct fw_cfg, item, 0), DEVICE_FIELD(struct fw_cfg, at, 0),
};

static const struct device_class fw_cfg_class = {
    .name = "fw_cfg", .version = 1, DEVICE_TABLE(fields),
};

/* An item's bytes, the first one lowest. */
static uint64_t contents(const struct fw_cfg *fw_cfg)
{
    switch (fw_cfg->item) {
    case FW_CFG_SIGNATURE: return SIGNATURE;
    case FW_CFG_ID:        return ID_PORTS;
    case FW_CFG_RAM_SIZE:  return fw_cfg->memory;
    case FW_CFG_NOGRAPHIC: return 1;
    case FW_CFG_CPUS:
    case FW_CFG_CPUS_MAX:  return fw_cfg->cpus;
    default:               return 0; // the directory too: no files
    }
}

static uint64_t fw_cfg_read(void *device, uint64_t offset, unsigned size)
{
    struct fw_cfg *fw_cfg = device;

    if (offset != 1 || size != 1 || fw_cfg->at >= ITEM_BYTES)
        return 0;
    return contents(fw_cfg) >> (8 * fw_cfg->at++) & 0xff;
}

static void fw_cfg_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct fw_cfg *fw_cfg = device;

    if (offset != 0 || size != 2)
        return;
    fw_cfg->item = (uint16_t)value;
    fw_cfg->at = 0;
}

enum vmm_status fw_cfg_init(struct fw_cfg *fw_cfg, struct port_bus *ports, struct host_mutex *lock,
                            uint64_t memory, unsigned cpus)
{
    fw_cfg->device.class = &fw_cfg_class;
    device_reset(&fw_cfg->device);
    fw_cfg->memory = memory;
    fw_cfg->cpus = (uint16_t)cpus;
    fw_cfg->range = (struct bus_range){
        "fw_cfg", FW_CFG_PORT, 2, 2, lock, fw_cfg_read, fw_cfg_write, fw_cfg,
    };
    return port_bus_add(ports, &fw_cfg->range);
}
