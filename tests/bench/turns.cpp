#include "tests/bench/turns.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <random>
#include <sys/resource.h>

namespace keep::bench {
namespace {

template <typename Compare>
double median_of_pairs(const Series& series, const Series& floor, Compare compare) {
    std::vector<double> values;
    const std::size_t pairs = std::min(series.micros.size(), floor.micros.size());
    values.reserve(pairs);
    for (std::size_t i = 0; i < pairs; ++i)
        values.push_back(compare(series.micros[i], floor.micros[i]));
    return median(std::move(values));
}

} // namespace

double micros_of(const std::function<void()>& work) {
    using Clock = std::chrono::steady_clock;
    const auto begin = Clock::now();
    work();
    return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

std::vector<Series> take_turns(std::span<const Way> ways, int rounds, int warm_up) {
    std::vector<Series> all;
    for (const Way& way : ways)
        all.push_back({way.name, {}});
    std::vector<std::size_t> order(ways.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::minstd_rand dice(1); // the same orders in each run
    for (int round = -warm_up; round < rounds; ++round) {
        std::ranges::shuffle(order, dice);
        for (const std::size_t at : order) {
            const double took = micros_of(ways[at].once);
            if (ways[at].afterwards) ways[at].afterwards();
            if (round >= 0) all[at].micros.push_back(took);
        }
    }
    return all;
}

double quantile(std::vector<double> values, double share) {
    if (values.empty()) return 0;
    const auto last = static_cast<double>(values.size() - 1);
    const auto at = values.begin() + static_cast<std::ptrdiff_t>(share * last);
    std::ranges::nth_element(values, at);
    return *at;
}

double median(std::vector<double> values) {
    return quantile(std::move(values), 0.5);
}

double paired_difference(const Series& series, const Series& floor) {
    return median_of_pairs(series, floor, [](double a, double b) { return a - b; });
}

double paired_ratio(const Series& series, const Series& floor) {
    return median_of_pairs(series, floor, [](double a, double b) { return a / b; });
}

void report(std::string_view bench, std::string_view condition, std::span<const Series> all, std::size_t floor) {
    const auto text = [](std::string_view view) { return static_cast<int>(view.size()); };
    std::fprintf(stderr, "\n%.*s, %.*s (beside: %s)\n%-34s %12s %12s %12s %14s %8s\n", text(bench), bench.data(),
                 text(condition), condition.data(), all[floor].name.c_str(), "", "p10 us", "median us", "p90 us",
                 "difference us", "ratio");
    std::printf("{\"bench\": \"%.*s\", \"condition\": \"%.*s\", \"beside\": \"%s\", \"ways\": [", text(bench),
                bench.data(), text(condition), condition.data(), all[floor].name.c_str());
    for (const Series& series : all) {
        const double low = quantile(series.micros, 0.1);
        const double middle = median(series.micros);
        const double difference = paired_difference(series, all[floor]);
        const double ratio = paired_ratio(series, all[floor]);
        std::fprintf(stderr, "%-34s %12.1f %12.1f %12.1f %+14.1f %8.3f\n", series.name.c_str(), low, middle,
                     quantile(series.micros, 0.9), difference, ratio);
        std::printf("%s{\"name\": \"%s\", \"rounds\": %zu, \"p10_us\": %.2f, \"median_us\": %.2f, "
                    "\"difference_us\": %.2f, \"ratio\": %.4f}",
                    &series == all.data() ? "" : ", ", series.name.c_str(), series.micros.size(), low, middle,
                    difference, ratio);
    }
    std::printf("]}\n");
    std::fflush(stdout);
}

void die(std::string_view what) {
    std::fprintf(stderr, "%.*s: %s\n", static_cast<int>(what.size()), what.data(), std::strerror(errno));
    std::exit(1);
}

std::unique_ptr<char[]> touched_heap(std::size_t mebibytes) {
    constexpr std::size_t page = 4096;
    const std::size_t size = mebibytes << 20;
    auto heap = std::make_unique_for_overwrite<char[]>(size);
    for (std::size_t at = 0; at < size; at += page)
        heap[at] = static_cast<char>(at / page | 1);
    return heap;
}

std::size_t raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) die("getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) die("setrlimit");
    return limit.rlim_cur;
}

} // namespace keep::bench
