#include "expect.hpp"

namespace selftest {

namespace {
std::vector<std::pair<std::string, Check>> checks;
}

void add(const std::string& name, Check check) { checks.emplace_back(name, std::move(check)); }

}  // namespace selftest

int main() {
    using namespace selftest;
    add_defects();
    add_arithmetic();
    add_fragments();
    add_counters();
    add_clusters();
    int failures = 0;
    for (const auto& check : checks) {
        std::string wrong = check.second();
        if (wrong.empty()) std::printf("ok %s\n", check.first.c_str());
        else std::printf("FAIL %s: %s\n", check.first.c_str(), wrong.c_str());
        std::fflush(stdout);
        failures += !wrong.empty();
    }
    return failures != 0;
}
