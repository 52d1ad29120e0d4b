/* SPDX-License-Identifier: MIT */
/*
 * The firmware area: checksums, pointers, contents; and, with iasl, that the tables disassemble and
 * compile again without an error or a warning. `acpi DIRECTORY` leaves the tables there as files.
 */
#include "tests/boot/support.h"
#include "tests/unit/tap.h"
#include "vmm/acpi/firmware.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static uint8_t area[FIRMWARE_AREA_SIZE];

static uint8_t sum(const uint8_t *p, size_t size)
{
    uint8_t s = 0;

    while (size-- > 0)
        s = (uint8_t)(s + *p++);
    return s;
}

static const uint8_t *at(uint64_t address)
{
    return address >= FIRMWARE_AREA && address < FIRMWARE_AREA + FIRMWARE_AREA_SIZE
               ? area + (address - FIRMWARE_AREA)
               : area;
}

static void save(const char *directory, const uint8_t *table)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%.4s.dat", directory, (const char *)table);
    file = fopen(path, "wb");
    ok(file != NULL && fwrite(table, 1, get32(table + 4), file) == get32(table + 4), "%.4s written",
       (const char *)table);
    if (file != NULL)
        fclose(file);
}

static void check_table(const char *directory, uint64_t address, const char *signature)
{
    const uint8_t *t = at(address);

    ok(memcmp(t, signature, 4) == 0, "%s is where its pointer says", signature);
    is_u64(sum(t, get32(t + 4)), 0, signature);
    ok(memcmp(t + 10, "VBOX  ", 6) == 0, "%s: OEM identifier", signature);
    if (directory != NULL)
        save(directory, t);
}

static void check_acpi(const char *directory, const struct firmware_config *config, uint64_t rsdp)
{
    const uint8_t *root = at(rsdp), *xsdt, *fadt = NULL;
    unsigned tables, cpus = 0;

    ok(memcmp(root, "RSD PTR ", 8) == 0 && rsdp % 16 == 0, "root pointer on 16 bytes");
    is_u64(sum(root, 20), 0, "sum of its ACPI 1.0 part");
    is_u64(sum(root, 36), 0, "sum of all of it");
    check_table(NULL, get32(root + 16), "RSDT");
    check_table(NULL, get64(root + 24), "XSDT");
    xsdt = at(get64(root + 24));
    tables = (get32(xsdt + 4) - 36) / 8;
    is_u64(tables, config->hpet ? 3 : 2, "tables in the XSDT");
    for (unsigned i = 0; i < tables; i++) {
        uint64_t address = get64(xsdt + 36 + 8 * i);
        char name[5] = { 0 };

        is_u64(get32(at(get32(root + 16)) + 36 + 4 * i), address, "RSDT and XSDT agree");
        memcpy(name, at(address), 4);
        check_table(directory, address, name);
        if (strcmp(name, "FACP") == 0)
            fadt = at(address);
        for (const uint8_t *e = at(address) + 44, *end = at(address) + get32(at(address) + 4);
             strcmp(name, "APIC") == 0 && e < end; e += e[1])
            cpus += e[0] == 0;
    }
    is_u64(cpus, config->cpus, "processors in the MADT");
    ok(fadt != NULL, "a FADT");
    if (fadt == NULL)
        return;
    check_table(directory, get32(fadt + 40), "DSDT");
    is_u64(get32(fadt + 36) % 64, 0, "FACS on 64 bytes");
    ok(memcmp(at(get32(fadt + 36)), "FACS", 4) == 0, "FACS is where the FADT says");
    is_u64(get32(fadt + 76), 0x4008, "PM timer port");
}

static const uint8_t *find(const char *signature)
{
    for (size_t i = FIRMWARE_UPPER - FIRMWARE_AREA; i < FIRMWARE_AREA_SIZE; i += 16)
        if (memcmp(area + i, signature, 4) == 0)
            return area + i;
    return area;
}

static void check_mp(const struct firmware_config *config)
{
    const uint8_t *pointer = find("_MP_"), *table = at(get32(pointer + 4)), *e = table + 44;
    unsigned length = table[4] | table[5] << 8, entries = table[34] | table[35] << 8, cpus = 0, n;

    is_u64(sum(pointer, 16), 0, "MP pointer");
    ok(memcmp(table, "PCMP", 4) == 0, "MP table");
    is_u64(sum(table, length), 0, "its sum");
    for (n = 0; e < table + length; n++) {
        cpus += *e == 0;
        e += *e == 0 ? 20 : 8;
    }
    is_u64(n, entries, "its entries");
    is_u64(cpus, config->cpus, "processors among them");
}

static void check_smbios(void)
{
    const uint8_t *entry = find("_SM_"), *s = at(get32(entry + 24)), *end;
    unsigned count = 0;

    end = s + (entry[22] | entry[23] << 8);
    is_u64(sum(entry, 31), 0, "SMBIOS entry point");
    is_u64(sum(entry + 16, 15), 0, "its second part");
    ok(strcmp((const char *)s + s[1], "innotek GmbH") == 0, "vendor");
    for (; s < end; count++) {
        s += s[1];
        while (s + 1 < end && (s[0] != 0 || s[1] != 0))
            s++;
        s += 2;
    }
    ok(s == end, "structures fill their length");
    is_u64(count, entry[28] | entry[29] << 8, "and are as many as said");
}

/* Disassemble and compile: no "Error" and no "Warning" line with a count. */
static void check_iasl(const char *directory)
{
    char command[1024], line[512];
    bool clean = false, complained = false;
    FILE *pipe;

    snprintf(
        command, sizeof(command),
        "cd '%s' && iasl -d *.dat >d.log 2>&1; for t in *.dsl; do iasl $t; done 2>&1; cat d.log",
        directory);
    pipe = popen(command, "r");
    while (pipe != NULL && fgets(line, sizeof(line), pipe) != NULL) {
        if (strstr(line, "Compilation successful. 0 Errors, 0 Warnings") != NULL)
            clean = true;
        if (strstr(line, "Error ") != NULL || strstr(line, "Warning ") != NULL ||
            strstr(line, "Could not") != NULL) {
            complained = true;
            tap_note("iasl: %s", line);
        }
    }
    if (pipe != NULL)
        pclose(pipe);
    ok(clean, "iasl compiles what it disassembled");
    ok(!complained, "without an error or a warning");
}

static void machine(unsigned cpus, bool hpet, const char *directory)
{
    const struct firmware_config config = {
        .cpus = cpus,
        .memory = 5ull << 30,
        .low_end = 3ull << 30,
        .hpet = hpet,
        .com2 = true,
        .cpu_signature = 0x800f12,
        .cpu_features = 0x178bfbff,
    };
    uint64_t rsdp = 0;

    is_u64(firmware_build(area, &config, &rsdp), VMM_OK, "built");
    check_acpi(directory, &config, rsdp);
    check_mp(&config);
    check_smbios();
}

int main(int argc, char **argv)
{
    char directory[] = "/tmp/graft-acpi-XXXXXX";
    const char *where = argc > 1 ? argv[1] : mkdtemp(directory);
    struct firmware_config none = { .cpus = 65, .low_end = 1 << 30 };
    uint64_t rsdp;

    machine(1, false, NULL);
    machine(64, true, where);
    is_u64(firmware_build(area, &none, &rsdp), VMM_BAD_CONFIG, "65 processors are refused");
    if (where != NULL && system("command -v iasl >/dev/null") == 0)
        check_iasl(where);
    else
        ok(true, "iasl # SKIP not installed");
    if (argc <= 1 && where != NULL) {
        char command[64];

        snprintf(command, sizeof(command), "rm -rf '%s'", where);
        ok(system(command) == 0, "tidied up");
    }
    return tap_done();
}
