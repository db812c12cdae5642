// A library that a package's upgrade takes away.
extern "C" int fleeting() {
    return 0;
}
