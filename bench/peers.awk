# SPDX-License-Identifier: MIT
# Evaluate what bench/peers.sh has measured: lines "ROUND CPUS PEER NAME NANOSECONDS KIND", behind the list of known reasons.
# Ratios are of the same round. NAME_vs_tcg is how many times as fast as TCG, NAME_vs_native how many times as slow as the host.

FILENAME ~ /reasons$/ {
    if (/^[a-z]/) {
        name = $1
        sub(/^[^ ]* */, "")
        reason[name] = $0
    }
    next
}

{
    key = ($2 == 1 ? "" : "smp_") $4
    if (!(key in kind)) {
        order[++rows] = key
        kind[key] = $6
        operation[key] = $4
        machine[key] = $2
    }
    time[$3, key, $1] = $5
    if ($1 > rounds)
        rounds = $1
}

# The middle one of list[1..n], which is sorted.
function middle(n,    i, j, x)
{
    for (i = 2; i <= n; i++) {
        x = list[i]
        for (j = i - 1; j > 0 && list[j] > x; j--)
            list[j + 1] = list[j]
        list[j + 1] = x
    }
    return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}

# 0: not measured.
function median(peer, key,    r, n)
{
    n = 0
    for (r = 1; r <= rounds; r++)
        if ((peer, key, r) in time)
            list[++n] = time[peer, key, r]
    return n ? middle(n) : 0
}

# The ratios of two times in each round: median, and in low and high the least and the largest. 0: not measured.
function ratio(peer1, key1, peer2, key2,    r, n, m)
{
    n = 0
    for (r = 1; r <= rounds; r++)
        if ((peer1, key1, r) in time && (peer2, key2, r) in time && time[peer2, key2, r] > 0)
            list[++n] = time[peer1, key1, r] / time[peer2, key2, r]
    if (!n) {
        low = high = 0
        return 0
    }
    m = middle(n)
    low = list[1]
    high = list[n]
    return m
}

function duration(ns)
{
    return !ns ? "" : ns < 1000 ? sprintf("%.1f ns", ns) : ns < 1e6 ? sprintf("%.2f us", ns / 1000) : \
        ns < 1e9 ? sprintf("%.2f ms", ns / 1e6) : sprintf("%.2f s", ns / 1e9)
}

function spread(m)
{
    return m ? sprintf("%.2f (%.2f to %.2f)", m, low, high) : ""
}

function figure(name, value)
{
    if (value)
        figures = figures sprintf("figure %s %.3f\n", name, value)
}

function bar(what, value, holds, wanted)
{
    if (!value) {
        unjudged++
        return
    }
    judged++
    bars = bars sprintf("bar %-4s %-36s %8.2f  %s\n", holds ? "ok" : "FAIL", what, value, wanted)
    if (!holds)
        missed++
}

# Of the issue's kinds of work, by which the geometric means are taken; further rows stand for themselves.
function is_compute(key)
{
    return machine[key] == 1 && kind[key] ~ /^(integer|memory|text|float)$/
}

function is_mean(key)
{
    return is_compute(key) && key !~ /^(atomic|tree|scan|mandelbrot|rep_short)$/
}

function row(key,    vs_tcg, vs_native, most, tcg_text, native_text, tcg_low)
{
    vs_tcg = ratio("tcg", key, "graft", key)
    tcg_text = spread(vs_tcg)
    tcg_low = low
    vs_native = ratio("graft", key, "native", key)
    native_text = spread(vs_native)
    most = ratio("tcg", key, "native", key)
    printf markdown ? "| %s | %s | %s | %s | %s | %s | %s |\n" : "%-18s %10s %10s %10s %24s %24s %8s\n", key, duration(median("native", key)), \
        duration(median("tcg", key)), duration(median("graft", key)), native_text, tcg_text, most ? sprintf("%.1f", most) : ""
    figure("row_" key "_vs_tcg", vs_tcg)
    figure("row_" key "_vs_native", vs_native)
    if (kind[key] == "boot")
        return
    if (vs_tcg)
        bar("row_" key "_vs_tcg, least ratio", tcg_low, tcg_low >= 0.95, "at least 0.95")
    if (vs_tcg && vs_native) {
        share = vs_tcg / most
        if (share < 0.5 && key in reason)
            bar("row_" key ", of what native gives", share, 1, "under 0.50, for a known reason: " reason[key])
        else
            bar("row_" key ", of what native gives", share, share >= 0.5, "at least 0.50")
    }
    add_mean("compute", is_mean(key), vs_tcg, vs_native, most)
    add_mean("all_compute", is_compute(key), vs_tcg, vs_native, most)
    add_mean("system", machine[key] == 1 && kind[key] ~ /^(system|thread)$/, vs_tcg, vs_native, most)
}

function add_mean(name, belongs, vs_tcg, vs_native, most)
{
    if (!belongs)
        return
    if (vs_tcg) { tcg_sum[name] += log(vs_tcg); tcg_count[name]++ }
    if (vs_native) { native_sum[name] += log(vs_native); native_count[name]++ }
    if (most) { most_sum[name] += log(most); most_count[name]++ }
}

function mean(sum, count)
{
    return count ? exp(sum / count) : 0
}

function means(name,    vs_tcg, vs_native, most)
{
    vs_tcg = mean(tcg_sum[name], tcg_count[name])
    vs_native = mean(native_sum[name], native_count[name])
    most = mean(most_sum[name], most_count[name])
    printf markdown ? "| **mean, %s** | | | | %s | %s | %s |\n" : "mean, %-44s %24s %24s %8s\n", name, vs_native ? sprintf("%.2f", vs_native) : "", \
        vs_tcg ? sprintf("%.2f", vs_tcg) : "", most ? sprintf("%.1f", most) : ""
    figure("geomean_" name "_vs_tcg", vs_tcg)
    figure("geomean_" name "_vs_native", vs_native)
    figure("geomean_" name "_tcg_vs_native", most)
    mean_tcg[name] = vs_tcg
    mean_native[name] = vs_native
}

function least(what, value, wanted, note)
{
    bar(what, value, value >= wanted, "at least " wanted note)
}

function most_of(what, value, wanted, note)
{
    bar(what, value, value <= wanted, "at most " wanted note)
}

# The same row of Graft's with two CPUs and one, and what the host makes of it.
function two_cpus(name,    m, native)
{
    m = ratio("graft", name, "graft", "smp_" name)
    native = ratio("native", name, "native", "smp_" name)
    figure("smp_speedup_" name, m)
    figure("smp_speedup_" name "_native", native)
    if (name ~ /^par_/)
        least("speed-up of " name " by a second CPU", m, 1.6, native ? sprintf("; natively %.2f", native) : "")
    else
        most_of(name " with two CPUs, times one's", m ? 1 / m : 0, 1.5, native ? sprintf("; natively %.2f", 1 / native) : "")
}

END {
    if (markdown)
        print "| | native | TCG | Graft | Graft / native | TCG / Graft | TCG / native |\n|---|---|---|---|---|---|---|"
    else
        printf "%-18s %10s %10s %10s %24s %24s %8s\n", "row", "native", "TCG", "Graft", "Graft / native", "TCG / Graft", "TCG / n."
    for (i = 1; i <= rows; i++)
        row(order[i])
    means("compute")
    means("all_compute")
    means("system")
    boot = ratio("tcg", "boot", "graft", "boot")
    figure("boot_vs_tcg", boot)
    figure("process_to_init_vs_tcg", ratio("tcg", "boot_process", "graft", "boot_process"))
    most_of("geomean_compute_vs_native", mean_native["compute"], 2.2)
    least("geomean_compute_vs_tcg", mean_tcg["compute"], 4.5)
    most_of("row_getppid_vs_native", ratio("graft", "getppid", "native", "getppid"), 2)
    least("row_fault_vs_tcg", ratio("tcg", "fault", "graft", "fault"), 5)
    least("row_pipe_vs_tcg", ratio("tcg", "pipe", "graft", "pipe"), 8)
    least("row_exec_vs_tcg", ratio("tcg", "exec", "graft", "exec"), 4)
    least("boot_vs_tcg", boot, 3)
    two_cpus("pipe")
    two_cpus("fork")
    two_cpus("par_integer")
    two_cpus("par_memory")
    printf "\n%s\n%s", figures, bars
    printf "\nbars: %d hold, %d do not, %d not judged for want of a measurement\n", judged - missed, missed, unjudged
    if (strict && (missed || unjudged))
        exit 1
}
