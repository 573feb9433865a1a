// SPDX-License-Identifier: Apache-2.0
#include "dataplane/config/options.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

namespace teal {
namespace {

// The line numbers in the tests below refer to this text.
constexpr char kBase[] = R"([dataplane]
workers = 2
cpus = [1, 3]
flow_capacity = 1_000_000
idle = "adaptive"
hash_seed = 42
memory_mb = 256

[[port]]
name = "front"
device = "af_xdp:eth1"
side = "client"

[[port]]
name = "back"
device = "0000:3b:00.0"
side = "backend"

[[service]]
vip = "not looked at"
)";

std::string with(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << "the base has no " << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

std::string errors_of(const std::string& text) {
  const auto options = parse_options(text, "teal.toml");
  std::string joined;
  if (!options) {
    for (const auto& error : options.error()) joined += error + "\n";
  }
  return joined;
}

struct Mistake {
  const char* name;
  const char* from;  // a part of kBase
  const char* to;
  const char* says;  // the start of the only error, after the path
};

class OptionsMistake : public testing::TestWithParam<Mistake> {};

TEST_P(OptionsMistake, IsReportedOnceWithLineAndField) {
  const std::string errors = errors_of(with(kBase, GetParam().from, GetParam().to));
  const std::string start = std::string("teal.toml:") + GetParam().says;
  EXPECT_EQ(errors.substr(0, start.size()), start);
  EXPECT_EQ(errors.find('\n') + 1, errors.size()) << errors;
}

constexpr Mistake kMistakes[] = {
    {"NoWorkers", "workers = 2", "workers = 0",
     "2: dataplane.workers: is 0, expected an integer from 1 to 16"},
    {"TooManyWorkers", "workers = 2", "workers = 33", "2: dataplane.workers: is 33, "},
    {"WorkersOfWrongType", "workers = 2", "workers = \"2\"", "2: dataplane.workers: is a string, "},
    {"TooFewCpus", "[1, 3]", "[1]", "3: dataplane.cpus: names 1 CPUs, expected 2, one for"},
    {"TooManyCpus", "[1, 3]", "[1, 2, 3]", "3: dataplane.cpus: names 3 CPUs, expected 2, one for"},
    {"CpuTwice", "[1, 3]", "[1, 1]", "3: dataplane.cpus[1]: CPU 1 is also dataplane.cpus[0], expected "},
    {"BadCpu", "[1, 3]", "[1, -1]", "3: dataplane.cpus[1]: is -1, expected an integer from 0 to 1023"},
    {"CpusOfWrongType", "[1, 3]", "\"1-3\"",
     "3: dataplane.cpus: is a string, expected an array of CPU numbers"},
    {"CapacityTooSmall", "1_000_000", "999",
     "4: dataplane.flow_capacity: is 999, expected an integer from 1000"},
    {"CapacityTooLarge", "1_000_000", "100_000_001", "4: dataplane.flow_capacity: is 100000001, expected"},
    {"UnknownIdle", "\"adaptive\"", "\"sleep\"",
     "5: dataplane.idle: is \"sleep\", expected \"adaptive\" or \"spin\""},
    {"NegativeSeed", "42", "-1", "6: dataplane.hash_seed: is -1, expected an integer of at least 0"},
    {"TooLittleMemory", "256", "1", "7: dataplane.memory_mb: is 1, expected an integer from 16"},
    {"UnknownField", "idle", "idel", "5: dataplane.idel: is an unknown field, did you mean \"idle\"?"},
    {"UnknownIova", "idle = \"adaptive\"", "iova = \"xa\"",
     "5: dataplane.iova: is \"xa\", expected \"auto\", \"va\" or \"pa\""},
    {"UnknownFieldOfPort", "side = \"client\"", "side = \"client\"\nmtu = 9000",
     "13: port[0].mtu: is an unknown field, expected \"name\", \"device\" or \"side\""},
    {"PortWithoutName", "name = \"front\"\n", "\n", "9: port[0].name: is missing, expected "},
    {"BadPortName", "\"front\"", "\"Front 1\"",
     "10: port[0].name: \"Front 1\" is not a port name, expected "},
    {"LongPortName", "\"front\"", "\"a2345678901234567890123456789012\"", "10: port[0].name: "},
    {"DuplicatePortName", "\"back\"", "\"front\"",
     "15: port[1].name: \"front\" is the name of the port of line 10 too, expected a different one"},
    {"NameTooLongForATap", "\"back\"", "\"a-name-of-16-byt\"",
     "15: port[1].name: \"a-name-of-16-byt\" has 16 bytes, expected at most 15: the TAP of a port that "
     "DPDK "},
    {"NameOfAnotherInterface", "\"back\"", "\"teal0\"",
     "15: port[1].name: \"teal0\" names another interface, expected a name that the TAP "},
    {"PortWithoutDevice", "device = \"af_xdp:eth1\"\n", "\n", "9: port[0].device: is missing, expected "},
    {"DeviceOfWrongType", "\"af_xdp:eth1\"", "1", "11: port[0].device: is an integer, expected "},
    {"UnknownDevice", "af_xdp:eth1", "eth1", "11: port[0].device: \"eth1\" is not a device, expected "},
    {"NoInterface", "af_xdp:eth1",
     "af_xdp:", "11: port[0].device: \"\" is not an interface name, expected af_xdp:"},
    {"LongInterface", "af_xdp:eth1", "af_packet:a234567890123456",
     "11: port[0].device: \"a234567890123456\" is not an interface name, expected af_packet:"},
    {"BadVdev", "af_xdp:eth1", "vdev:crypto_null",
     "11: port[0].device: \"crypto_null\" is not a virtual network"},
    {"VdevWithSpace", "af_xdp:eth1", "vdev:net_tap0 --no-pci",
     "11: port[0].device: \"net_tap0 --no-pci\" is no"},
    {"BadPci", "0000:3b:00.0", "0000:3b:00.8",
     "16: port[1].device: \"0000:3b:00.8\" is not a device, expected "},
    {"ShortPci", "0000:3b:00.0", "3b:00.0", "16: port[1].device: \"3b:00.0\" is not a device, expected "},
    {"DuplicateInterface", "0000:3b:00.0", "af_packet:eth1",
     "16: port[1].device: \"eth1\" is the device of the port of line 11 too, expected a different one"},
    {"PortWithoutSide", "side = \"client\"\n", "\n", "9: port[0].side: is missing, expected "},
    {"UnknownSide", "\"client\"", "\"left\"",
     "12: port[0].side: is \"left\", expected \"client\", \"backend\" or \"both\""},
    {"NoClientSide", "\"client\"", "\"backend\"", "9: port: no port faces clients, expected at least one"},
    {"NoBackendSide", "\"backend\"", "\"client\"", "9: port: no port faces backends, expected at least one"},
};
INSTANTIATE_TEST_SUITE_P(Options, OptionsMistake, testing::ValuesIn(kMistakes),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Options, ReadsAllFields) {
  const auto options = parse_options(kBase, "teal.toml");
  ASSERT_TRUE(options) << errors_of(kBase);
  EXPECT_EQ(options->workers, 2u);
  EXPECT_EQ(options->cpus, (std::vector<uint32_t>{1, 3}));
  EXPECT_EQ(options->flow_capacity, 1'000'000u);
  EXPECT_EQ(options->idle, Idle::kAdaptive);
  EXPECT_EQ(options->hash_seed, 42u);
  EXPECT_EQ(options->memory_mb, 256u);
  EXPECT_EQ(options->iova, Iova::kAuto);
  ASSERT_EQ(options->ports.size(), 2u);
  EXPECT_EQ(options->ports[0].name, "front");
  EXPECT_EQ(options->ports[0].kind, DeviceKind::kAfXdp);
  EXPECT_EQ(options->ports[0].device, "eth1");
  EXPECT_EQ(options->ports[0].side, kClientSide);
  EXPECT_EQ(options->ports[1].kind, DeviceKind::kPci);
  EXPECT_EQ(options->ports[1].device, "0000:3b:00.0");
  EXPECT_EQ(options->ports[1].side, kBackendSide);
}

TEST(Options, HasDefaults) {
  const auto options = parse_options(
      "[dataplane]\n[[port]]\nname = \"p\"\ndevice = \"vdev:net_memif0,role=client\"\nside = \"both\"\n",
      "t");
  ASSERT_TRUE(options) << options.error()[0];
  EXPECT_EQ(options->workers, 1u);
  EXPECT_TRUE(options->cpus.empty());
  EXPECT_EQ(options->flow_capacity, 1'000'000u);
  EXPECT_EQ(options->idle, Idle::kAdaptive);
  EXPECT_EQ(options->hash_seed, 0u);
  EXPECT_EQ(options->memory_mb, 0u);
  EXPECT_EQ(options->ports[0].kind, DeviceKind::kVdev);
  EXPECT_EQ(options->ports[0].device, "net_memif0,role=client");
  EXPECT_EQ(options->ports[0].side, kClientSide | kBackendSide);
}

TEST(Options, NeedBothParts) {
  EXPECT_EQ(errors_of(""),
            "teal.toml:1: dataplane: is missing, expected a table [dataplane]\n"
            "teal.toml:1: port: is missing, expected 1 to 16 of [[port]]\n");
  EXPECT_EQ(errors_of("port = []\n[dataplane]\n"),
            "teal.toml:1: port: is empty, expected 1 to 16 of [[port]]\n");
  EXPECT_EQ(errors_of("dataplane = 1\nport = 2\n"),
            "teal.toml:1: dataplane: is an integer, expected a table [dataplane]\n"
            "teal.toml:2: port: is an integer, expected [[port]]\n");
}

TEST(Options, RefuseTooManyPorts) {
  std::string text = "[dataplane]\n";
  for (int i = 0; i < 17; ++i) {
    const std::string number = std::to_string(i);
    text += "[[port]]\nname = \"p" + number + "\"\ndevice = \"af_xdp:e" + number + "\"\nside = \"both\"\n";
  }
  EXPECT_EQ(errors_of(text),
            "teal.toml:66: port[16]: is one port too many: the file has 17, expected at most 16\n");
}

TEST(Options, RefuseMoreWorkersThanDpdkHasDevicesFor) {
  const std::string ports =
      "[[port]]\nname = \"a\"\ndevice = \"af_xdp:e1\"\nside = \"client\"\n"
      "[[port]]\nname = \"b\"\ndevice = \"af_xdp:e2\"\nside = \"backend\"\n";
  EXPECT_EQ(errors_of("[dataplane]\nworkers = 15\n" + ports), "");
  EXPECT_EQ(
      errors_of("[dataplane]\nworkers = 16\n" + ports),
      "teal.toml:3: port: need 33 devices of DPDK with 16 workers, expected at most 32: an AF_XDP port needs "
      "one for each worker\n");
  DataplaneOptions owned{.workers = 16};
  owned.ports = {{.name = "a", .kind = DeviceKind::kPci}, {.name = "b", .kind = DeviceKind::kAfPacket}};
  EXPECT_EQ(dpdk_devices_of(owned), 3u);
}

TEST(Options, VdevsDifferByNameAlone) {
  std::string text = with(kBase, "af_xdp:eth1", "vdev:net_tap0,iface=a");
  EXPECT_EQ(errors_of(with(text, "0000:3b:00.0", "vdev:net_tap1,iface=a")), "");
  EXPECT_EQ(
      errors_of(with(text, "0000:3b:00.0", "vdev:net_tap0,iface=b")),
      "teal.toml:16: port[1].device: \"net_tap0,iface=b\" is the device of the port of line 11 too, expected "
      "a different one for each port\n");
}

TEST(Options, ListAllErrorsAtOnceByLine) {
  std::string text = with(kBase, "workers = 2", "workers = 0");
  text = with(text, "af_xdp:eth1", "eth1");
  text = with(text, "\"backend\"", "\"left\"");
  text = with(text, "42", "true");
  EXPECT_EQ(errors_of(text),
            "teal.toml:2: dataplane.workers: is 0, expected an integer from 1 to 16\n"
            "teal.toml:6: dataplane.hash_seed: is a boolean, expected an integer of at least 0\n"
            "teal.toml:11: port[0].device: \"eth1\" is not a device, expected \"af_xdp:INTERFACE\", "
            "\"af_packet:INTERFACE\", \"vdev:net_...\" or a PCI address such as \"0000:3b:00.0\"\n"
            "teal.toml:17: port[1].side: is \"left\", expected \"client\", \"backend\" or \"both\"\n");
}

TEST(Options, ReadAFile) {
  const std::string path = testing::TempDir() + "options_test.toml";
  std::ofstream(path) << kBase;
  const auto options = read_options(path);
  std::remove(path.c_str());
  ASSERT_TRUE(options) << options.error()[0];
  const auto missing = read_options(path);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error()[0], path + ": cannot be read: No such file or directory, expected a TOML file");
}

}  // namespace
}  // namespace teal
