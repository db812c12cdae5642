// Several ways to do the same, taken in turn in one process, so that each has the others next to it in time: what a
// machine does besides then touches all of them, and the differences of pairs tell microseconds apart.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace keep::bench {

struct Way {
    std::string name;
    std::function<void()> once;
    std::function<void()> afterwards = {}; // outside of the clock
};

struct Series {
    std::string name;
    std::vector<double> micros; // entry i of all the series was taken in the same round
};

// Every way once in each round, in an order drawn anew, so that nobody is always behind the same neighbour. The first
// `warm_up` rounds are not kept.
std::vector<Series> take_turns(std::span<const Way> ways, int rounds, int warm_up);

double micros_of(const std::function<void()>& work);

double quantile(std::vector<double> values, double share); // 0.5: the median
double median(std::vector<double> values);

// Medians over the rounds of this series beside that one: what it took more, and how many times as long.
double paired_difference(const Series& series, const Series& floor);
double paired_ratio(const Series& series, const Series& floor);

// One table on the standard error and one line of JSON on the standard output; `floor` is the series that the others
// are set beside.
void report(std::string_view bench, std::string_view condition, std::span<const Series> all, std::size_t floor = 0);

// The machine's own words on the failed call, then exit 1: a benchmark without its parts measures nothing.
[[noreturn]] void die(std::string_view what);

// So much memory with every page of 4 KiB written to: a parent of that size.
std::unique_ptr<char[]> touched_heap(std::size_t mebibytes);

// The soft limit of descriptors at the hard one. Returns it.
std::size_t raise_descriptor_limit();

} // namespace keep::bench
