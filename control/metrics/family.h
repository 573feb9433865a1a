// SPDX-License-Identifier: Apache-2.0
//
// The metrics of one name, in Prometheus' text format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

namespace teal {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

class Family {
 public:
  Family(const char* name, const char* help, MetricType type) : family_{name, help, type, {}} {}

  void add(Labels labels, double value) {
    ClientMetric metric;
    metric.label = std::move(labels);
    (family_.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
    family_.metric.push_back(std::move(metric));
  }
  void add(Labels labels, uint64_t value) { add(std::move(labels), static_cast<double>(value)); }
  void add(ClientMetric metric) { family_.metric.push_back(std::move(metric)); }
  void reserve(size_t metrics) { family_.metric.reserve(metrics); }

  void write(std::ostream& out) const { prometheus::TextSerializer().Serialize(out, {family_}); }

 private:
  MetricFamily family_;
};

inline void write_one(std::ostream& out, const char* name, const char* help, MetricType type,
                      uint64_t value) {
  Family family(name, help, type);
  family.add({}, value);
  family.write(out);
}

// A family with thousands of series. It is written series by series, so that the caller can yield to the
// event loop. No other family may be written meanwhile.
class LongFamily {
 public:
  static constexpr size_t kSlice = 512;  // series; a fraction of a millisecond

  LongFamily(std::ostream& out, const char* name, const char* help, MetricType type)
      : out_(out), name_(name) {
    out_ << fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help,
                        type == MetricType::Counter     ? "counter"
                        : type == MetricType::Histogram ? "histogram"
                                                        : "gauge");
  }

  // `labels` need no escapes: names of the config and addresses have no special characters.
  void add(std::string_view labels, uint64_t value) {
    out_ << fmt::format("{}{{{}}} {}\n", name_, labels, value);
    ++in_slice_;
  }
  // Adds a series of a histogram. `part` is "_bucket", "_count" or "_sum".
  template <typename Value>
  void add_part(const char* part, std::string_view labels, Value value) {
    out_ << fmt::format("{}{}{{{}}} {}\n", name_, part, labels, value);
    ++in_slice_;
  }
  // Returns true if the caller should yield to the event loop now.
  bool slice_is_over() {
    if (in_slice_ < kSlice) return false;
    in_slice_ = 0;
    return true;
  }

 private:
  std::ostream& out_;
  const char* name_;
  size_t in_slice_ = 0;
};

}  // namespace teal
