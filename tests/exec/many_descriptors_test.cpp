// Section G of the list, in a process of thousands of descriptors: reserved low numbers are the library's own affair,
// which neither the child nor foreign code may notice. All of it in forked children, since a reservation is for good.
#include "tests/exec/findings.hpp"
#include "tests/exec/watching.hpp"

#include <algorithm>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "tests/lib/temporary_directory.hpp"

using namespace keep;
using namespace keep::test;

namespace {

constexpr int many = 5000;
constexpr int last_low = 64; // what foreign code closes and opens anew: 3 to here

// In a forked child, so nothing has to be put back. False where the system does not allow as many.
bool allow_many() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const rlim_t wanted = many + 1000;
    if (limit.rlim_max < wanted) limit.rlim_max = wanted;
    limit.rlim_cur = std::max(limit.rlim_cur, wanted);
    return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

// Every number up to `many` is taken afterwards. They are never closed: the process ends.
void open_many() {
    while (::open("/dev/null", O_RDWR | O_CLOEXEC) < many) {
    }
}

// The next pipe lies above `many`; its child gets all of its text back, and sees nothing but its streams.
void check_commands(Notes& notes) {
    const PipePair probe = make_pipe();
    expect(notes, probe.read.get() > many, "pipes have no high numbers here");

    const std::string text(200'000, 'x');
    exec::Cmd copying = helper("cat");
    copying.in = exec::Source::bytes(text);
    const exec::Output copied = copying.output();
    expect_equal(notes, said(copied.result), "");
    expect(notes, copied.bytes == text, "not all of the input came back");

    exec::Cmd both = helper("pipetest");
    both.in = exec::Source::bytes("O:output\nE:error\n");
    std::string output;
    std::string error;
    both.out = exec::Sink::buffer(output);
    both.err = exec::Sink::buffer(error);
    expect_equal(notes, said(both.run()), "");
    expect_equal(notes, output, "O:output\n");
    expect_equal(notes, error, "E:error\n");

    exec::Cmd describing = helper("describefiles");
    describing.extra_files = {probe.read.get(), -1, probe.write.get()};
    const exec::Output described_files = describing.output();
    expect_equal(notes, said(described_files.result), "");
    const auto seen = described(described_files.bytes);
    expect_equal(notes, numbers_of(seen), "0 1 2 3 5");
    for (const auto& [number, target] : seen) {
        const bool right = number == 0 ? target == "/dev/null" : target.starts_with("pipe:");
        expect(notes, right, std::to_string(number) + " is " + target);
    }
    for (const Fd* source : {&probe.read, &probe.write})
        expect(notes, is_close_on_exec(source->get()), "a source lost close-on-exec in this process");
}

// What was at fault in `body`, run with room for all of them.
std::string faults_with_many(const std::function<void(Notes&)>& body) {
    const Shared<bool> refused;
    const Aftermath aftermath = in_own_process([&](Notes& notes) {
        *refused = !allow_many();
        if (!*refused) body(notes);
    });
    if (*refused) MESSAGE("skipped: the limit of open files is too low, and only root may raise it");
    return aftermath.faults();
}

// Whether two numbers are one open file description.
bool same_open_file(int a, int b) {
    const long order = ::syscall(SYS_kcmp, ::getpid(), ::getpid(), KCMP_FILE, a, b);
    if (order >= 0) return order == 0;
    struct stat first{};
    struct stat second{};
    return ::fstat(a, &first) == 0 && ::fstat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino && ::fcntl(a, F_GETFL) == ::fcntl(b, F_GETFL);
}

// Closes all low numbers behind the library's back, and takes them for descriptors of `open`'s. Then commands run, and
// each number must still be the same open file, with its flags.
void check_foreign_numbers(const std::function<int(int)>& open, Notes& notes) {
    expect(notes, exec::reserve_descriptors(8) == 8, "no eight starts could be reserved for");
    open_many();
    expect(notes, ::close_range(3, last_low, 0) == 0, "close_range");
    std::vector<int> witnesses;
    for (int number = 3; number <= last_low; ++number) {
        const int opened = open(number);
        expect(notes, opened == number, "foreign code did not get the number " + std::to_string(number));
        witnesses.push_back(::fcntl(opened, F_DUPFD_CLOEXEC, many));
    }
    check_commands(notes);
    for (int number = 3; number <= last_low; ++number) {
        const int witness = witnesses[static_cast<std::size_t>(number) - 3];
        expect(notes, same_open_file(number, witness), "another file at " + std::to_string(number));
        expect(notes, !is_close_on_exec(number), "close-on-exec at " + std::to_string(number));
    }
}

} // namespace

EXEC_TEST("[go:79] pipes with numbers above 5000 reach the child, which sees its streams and extra files alone") {
    CHECK(faults_with_many([](Notes& notes) {
              open_many();
              check_commands(notes);
              check_commands(notes); // also with what the first start has kept for itself
          }) == "");
}

EXEC_TEST("[go:79] numbers reserved before thousands of descriptors were open are not seen by the child") {
    CHECK(faults_with_many([](Notes& notes) {
              const auto before = holdings().descriptors;
              expect(notes, exec::reserve_descriptors(2) == 2, "no two starts could be reserved for");
              for (const auto& [number, target] : holdings().descriptors) {
                  const bool ours = !before.contains(number);
                  expect(notes, !ours || is_close_on_exec(number), "inheritable: " + std::to_string(number));
              }
              open_many();
              check_commands(notes);
          }) == "");
}

EXEC_TEST("[go:79] a reservation that comes too late takes what low numbers there are, and commands run all the same") {
    CHECK(faults_with_many([](Notes& notes) {
              open_many();
              const int none_left = exec::reserve_descriptors(3);
              expect(notes, none_left >= 0 && none_left <= 3, "reserved: " + std::to_string(none_left));
              check_commands(notes);
              ::close_range(10, 40, 0);
              expect(notes, exec::reserve_descriptors(3) == 3, "no three starts although numbers are free");
              open_many();
              check_commands(notes);
          }) == "");
}

EXEC_TEST("[go:79] a reservation is made once: asking again gives what there is") {
    CHECK(in_own_process([](Notes& notes) {
              expect(notes, exec::reserve_descriptors() == 1, "one");
              const Holdings one = holdings();
              expect(notes, exec::reserve_descriptors(1) == 1, "one again");
              expect(notes, holdings() == one, "asking again opened more");
              expect(notes, exec::reserve_descriptors(4) == 4, "four");
              expect(notes, exec::reserve_descriptors(8) == 8, "eight");
              expect(notes, exec::reserve_descriptors(1) == 8, "there are still eight");
          }).faults() == "");
}

EXEC_TEST("a reservation whose numbers foreign code has closed is made anew when asked again") {
    CHECK(in_own_process([](Notes& notes) {
              const auto reserved = [before = holdings().descriptors.size()] {
                  return holdings().descriptors.size() - before;
              };
              expect(notes, exec::reserve_descriptors(2) == 2, "two");
              const auto wanted = reserved();
              expect(notes, wanted > 0, "nothing was reserved");
              const Holdings untouched = holdings();
              ::close_range(3, last_low, 0);
              expect(notes, holdings().descriptors.size() < untouched.descriptors.size(), "not below that number");
              const auto left = holdings().descriptors.size();
              expect(notes, exec::reserve_descriptors(2) == 2, "two again");
              expect(notes, holdings().descriptors.size() >= left + wanted, "it counts numbers that are not its own");
          }).faults() == "");
}

EXEC_TEST("[go:82] starts with reserved numbers leave the descriptors as they were") {
    CHECK(faults_with_many([](Notes& notes) {
              exec::reserve_descriptors(2);
              open_many();
              check_commands(notes);
              const Holdings before = holdings();
              for (int times = 0; times < 5; ++times) {
                  check_commands(notes);
                  expect(notes, !exec::command("/no/such/program").output(), "what is missing was started");
              }
              expect(notes, holdings() == before, "descriptors were left behind");
          }) == "");
}

EXEC_TEST("[go:80] with thousands of descriptors, threads that start at once each get their own pipes") {
    CHECK(faults_with_many([](Notes& notes) {
              exec::reserve_descriptors(1); // fewer than the threads: they share, or go without
              open_many();
              std::vector<Notes> found(4);
              std::vector<std::thread> threads;
              for (Notes& own : found) {
                  threads.emplace_back([&own, number = threads.size()] {
                      for (int times = 0; times < 15; ++times) {
                          const std::string text = std::to_string(number) + "-" + std::to_string(times);
                          exec::Cmd command = helper("pipetest");
                          std::string output;
                          std::string error;
                          command.in = exec::Source::bytes("O:" + text + "\nE:" + text + "\n");
                          command.out = exec::Sink::buffer(output);
                          command.err = exec::Sink::buffer(error);
                          expect_equal(own, said(command.run()), "");
                          expect_equal(own, output, "O:" + text + "\n");
                          expect_equal(own, error, "E:" + text + "\n");
                      }
                  });
              }
              for (std::thread& thread : threads)
                  thread.join();
              for (const Notes& own : found)
                  expect_equal(notes, own.text(), "");
          }) == "");
}

EXEC_TEST("[go:79] a reserved number that foreign code closed and took for a file is never overwritten") {
    const TemporaryDirectory dir;
    CHECK(faults_with_many([&](Notes& notes) {
              const auto path = [&](int number) { return dir / std::to_string(number); };
              check_foreign_numbers([&](int number) { return ::open(path(number).c_str(), O_RDWR | O_CREAT, 0600); },
                                    notes);
              for (int number = 3; number <= last_low; ++number)
                  expect_equal(notes, read_text(path(number)), "");
          }) == "");
}

EXEC_TEST(
    "[go:79] a reserved number that foreign code took for something of the library's own kind is not overwritten") {
    CHECK(faults_with_many([](Notes& notes) {
              check_foreign_numbers([](int) { return ::open("/dev/null", O_WRONLY); }, notes);
          }) == "");
    CHECK(faults_with_many([](Notes& notes) { check_foreign_numbers([](int) { return ::eventfd(0, 0); }, notes); }) ==
          "");
    CHECK(faults_with_many([](Notes& notes) {
              const PipePair pipe = make_pipe();
              const int high = ::fcntl(pipe.write.get(), F_DUPFD_CLOEXEC, last_low + 1);
              check_foreign_numbers([high](int) { return ::dup(high); }, notes);
          }) == "");
}

EXEC_TEST("[go:39] [go:79] foreign code's write-only null device at a low number is not taken for the library's own") {
    CHECK(in_own_process([](Notes& notes) {
              ::close_range(3, 200, 0); // the library's own, wherever it was
              while (::open("/dev/null", O_WRONLY | O_CLOEXEC) < 200) {
              }
              exec::SpawnSpec reading = helper_spec("cat");
              reading.stdio[1] = 1;
              auto process = exec::spawn(reading);
              expect_equal(notes, said(process), "");
              if (process) expect_equal(notes, process->wait()->to_string(), "exit status 0");
              expect_equal(notes, said(helper("cat").run()), "");
          }).faults() == "");
}
