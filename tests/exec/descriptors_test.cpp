// Section G of the list: which descriptors a child has, and at which numbers.
#include "tests/exec/findings.hpp"

#include <algorithm>
#include <array>
#include <fcntl.h>
#include <unistd.h>
#include <vector>

#include "tests/lib/temporary_directory.hpp"

using namespace keep;
using namespace keep::test;

namespace {

// What the helper sees open, its own three streams included.
std::map<int, std::string> seen_by(exec::Cmd command) {
    const exec::Output output = command.output();
    CHECK(said(output.result) == "");
    return described(output.bytes);
}
std::map<int, std::string> seen_by(const exec::SpawnSpec& spec) {
    return described(run(spec).output);
}

exec::SpawnSpec describing() {
    return helper_spec("describefiles");
}

} // namespace

EXEC_TEST("[go:75] entry i of the extra files is the child's descriptor 3+i, ready to be read") {
    const TemporaryDirectory dir;
    const Fd first = open_file(dir / "first", "one\n");
    const Fd second = open_file(dir / "second", "two\n");
    exec::Cmd reading = helper("cat", {"/proc/self/fd/3", "/proc/self/fd/4"});
    reading.extra_files = {first.get(), second.get()};
    const exec::Output output = reading.output();
    CHECK(said(output.result) == "");
    CHECK(output.bytes == "one\ntwo\n");

    exec::Cmd describing = helper("describefiles");
    describing.extra_files = {first.get(), second.get()};
    const auto seen = seen_by(std::move(describing));
    CHECK(numbers_of(seen) == "0 1 2 3 4");
    CHECK(seen.at(3) == dir / "first");
    CHECK(seen.at(4) == dir / "second");
}

EXEC_TEST("[go:76] an entry of -1 leaves that number closed, and the later ones at theirs") {
    const TemporaryDirectory dir;
    const Fd file = open_file(dir / "file");
    exec::Cmd command = helper("describefiles");
    command.extra_files = {-1, file.get(), -1, -1, file.get(), -1};
    const auto seen = seen_by(std::move(command));
    CHECK(numbers_of(seen) == "0 1 2 4 7");
    CHECK(seen.at(4) == dir / "file");
    CHECK(seen.at(7) == dir / "file");
}

EXEC_TEST("[go:77] standard output and standard error can be swapped") {
    const TemporaryDirectory dir;
    const Fd input = open_file(dir / "input", "O:output\nE:error\n");
    const Fd one = open_file(dir / "one");
    const Fd two = open_file(dir / "two");
    CHECK(in_own_process([&](Notes& notes) {
              ::dup2(one.get(), 1);
              ::dup2(two.get(), 2);
              exec::SpawnSpec spec = helper_spec("pipetest");
              spec.stdio = {input.get(), 2, 1};
              auto process = exec::spawn(spec);
              expect_equal(notes, said(process), "");
              if (process) expect_equal(notes, said(process->wait()), "");
          }).faults() == "");
    CHECK(read_text(dir / "one") == "E:error\n");
    CHECK(read_text(dir / "two") == "O:output\n");
}

EXEC_TEST("[go:77] every permutation of four descriptors among their own numbers arrives, 3 and 4 swapped among them") {
    const TemporaryDirectory dir;
    std::vector<Fd> files;
    for (const char* name : {"a", "b", "c", "d"})
        files.push_back(open_file(dir / name));
    CHECK(in_own_process([&](Notes& notes) {
              std::vector<Fd> high; // the files themselves may lie at the numbers that they are put at
              for (const Fd& file : files)
                  high.push_back(Fd::adopt(::fcntl(file.get(), F_DUPFD_CLOEXEC, 100)));
              for (int number = 0; number < 4; ++number)
                  ::dup2(high[static_cast<std::size_t>(number)].get(), 3 + number);
              std::array<int, 4> order{3, 4, 5, 6};
              do {
                  exec::SpawnSpec spec = describing();
                  std::string wanted;
                  for (int i = 0; i < 4; ++i) {
                      const int from = order[static_cast<std::size_t>(i)];
                      spec.extra_fds.emplace_back(from, 3 + i);
                      wanted += dir / std::string(1, static_cast<char>('a' + from - 3)) + " ";
                  }
                  const auto seen = seen_by(spec);
                  std::string found;
                  for (auto at = seen.upper_bound(2); at != seen.end(); ++at)
                      found += at->second + " ";
                  expect_equal(notes, found, wanted);
              } while (std::ranges::next_permutation(order).found);
          }).faults() == "");
}

EXEC_TEST("[go:77] one source serves several numbers, also one that is another's source") {
    const TemporaryDirectory dir;
    const Fd file = open_file(dir / "file");
    const Fd other = open_file(dir / "other");
    exec::SpawnSpec spec = describing();
    spec.stdio[0] = file.get();
    spec.stdio[2] = file.get();
    spec.extra_fds = {{file.get(), 200}, {file.get(), other.get()}, {other.get(), file.get()}};
    const auto seen = seen_by(spec);
    std::map<int, std::string> wanted{{0, dir / "file"}, {1, seen.at(1)}, {2, dir / "file"}, {200, dir / "file"}};
    wanted[other.get()] = dir / "file";
    wanted[file.get()] = dir / "other";
    CHECK(seen == wanted);
}

EXEC_TEST("[go:78] a descriptor that keeps its number loses close-on-exec in the child alone") {
    const TemporaryDirectory dir;
    const Fd file = open_file(dir / "file");
    exec::SpawnSpec spec = describing();
    spec.extra_fds = {{file.get(), file.get()}};
    CHECK(seen_by(spec).at(file.get()) == dir / "file");
    CHECK(is_close_on_exec(file.get()));

    exec::Cmd command = helper("describefiles");
    command.extra_files.assign(static_cast<std::size_t>(file.get()) - 2, -1);
    command.extra_files.back() = file.get();
    CHECK(seen_by(std::move(command)).at(file.get()) == dir / "file");
    CHECK(is_close_on_exec(file.get()));
}
