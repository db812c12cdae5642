#include "tests/bench/exec_ways.hpp"

#include <cstdio>
#include <cstdlib>

namespace keep::bench {
namespace {

struct Buffers {
    exec::Bytes out;
    exec::Bytes err;
};

exec::Cmd prepared(const std::string& program, Streams streams, Buffers& captured) {
    exec::Cmd cmd = exec::command(program);
    switch (streams) {
    case Streams::inherited:
        cmd.in = exec::Source::fd(0);
        cmd.out = exec::Sink::fd(1);
        cmd.err = exec::Sink::fd(2);
        break;
    case Streams::pipes:
        cmd.in = exec::Source::bytes("");
        cmd.out = exec::Sink::buffer(captured.out);
        cmd.err = exec::Sink::buffer(captured.err);
        break;
    case Streams::null_device: break; // what an unset stream is
    }
    return cmd;
}

} // namespace

void spawn_and_wait(const std::string& program, std::array<int, 3> stdio) {
    exec::SpawnSpec spec;
    spec.path = program;
    spec.stdio = stdio;
    auto process = exec::spawn(spec);
    must(process);
    const auto state = process->wait();
    must(state);
    if (state->success()) return;
    std::fprintf(stderr, "the child did not exit with 0\n");
    std::exit(1);
}

void command_run(const std::string& program, Streams streams) {
    Buffers captured;
    must(prepared(program, streams, captured).run());
}

void command_start_and_wait(const std::string& program, Streams streams) {
    Buffers captured;
    exec::Cmd cmd = prepared(program, streams, captured);
    must(cmd.start());
    must(cmd.wait());
}

void give_up(const exec::Error& error) {
    std::fprintf(stderr, "%s\n", error.message().c_str());
    std::exit(1);
}

} // namespace keep::bench
