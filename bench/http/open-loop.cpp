// Open-loop load over HTTP: requests begin when a Poisson process says so, whether or not those before have been
// answered. One thread that never sleeps, since timers are late; it costs a few microseconds a request, where the server
// costs many times as much.
//
//   open-loop PORT CONNECTIONS RATE WARM_UP_SECONDS SECONDS SEED REQUEST_FILE...
//
// Each file holds a whole request, as it is sent. On the standard output comes one line of JSON: latencies in milliseconds
// from when a request was due, whatever made it wait. What was due before the warm-up's end is counted, and not timed.

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <map>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <random>
#include <string>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

// After the last request, answers still count for so long.
constexpr double patienceSeconds = 30;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

[[noreturn]] void fail(const char *what) {
  std::perror(what);
  std::exit(1);
}

struct Connection {
  int socket = -1;
  // When the request that it carries was due; negative while it carries none.
  double due = -1;
  std::string received;
};

struct Answers {
  long count = 0;
  std::vector<double> milliseconds;
};

struct Summary {
  double p50, p99, max;
};

Summary summarize(std::vector<double> values) {
  if (values.empty()) return {-1, -1, -1};
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) { return values[std::min(values.size() - 1, std::size_t(share * values.size()))]; };
  return {at(0.5), at(0.99), values.back()};
}

class Generator {
public:
  Generator(int port, int connections, std::vector<std::string> requests)
      : port_(port), requests_(std::move(requests)), connections_(connections) {
    poll_ = epoll_create1(0);
    if (poll_ < 0) fail("epoll_create1");
    for (int index = 0; index < connections; index++) {
      open(index);
      idle_.push_back(index);
    }
  }

  // Poisson arrivals from now on: returns when all have been answered, or nobody waits any more.
  void run(double rate, double warmUpSeconds, double seconds, unsigned seed) {
    std::mt19937_64 random(seed);
    std::exponential_distribution<double> gap(rate);
    double due = now();
    timing_ = due + warmUpSeconds;
    const double end = timing_ + seconds;
    for (due += gap(random); due < end; due += gap(random)) {
      while (now() < due) receive();
      send(due);
    }
    while (outstanding_ > 0 && now() < end + patienceSeconds) receive();
  }

  void print() const {
    std::printf("{\"sent\":%ld,\"answered\":{", sent_ + long(waiting_.size()));
    const char *separator = "";
    for (const auto &[status, answers] : answers_) {
      std::printf("%s\"%s\":", separator, status.c_str());
      print(answers.count, answers.milliseconds);
      separator = ",";
    }
    std::printf("},\"lost\":%ld,\"behind\":", lost_ + outstanding_);
    print(sent_, behind_);
    std::printf("}\n");
  }

private:
  static void print(long count, const std::vector<double> &milliseconds) {
    const auto [p50, p99, max] = summarize(milliseconds);
    if (p50 < 0) std::printf("{\"count\":%ld,\"p50\":null,\"p99\":null,\"max\":null}", count);
    else std::printf("{\"count\":%ld,\"p50\":%.4f,\"p99\":%.4f,\"max\":%.4f}", count, p50, p99, max);
  }

  void open(int index) {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    if (socket < 0) fail("socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(socket, reinterpret_cast<sockaddr *>(&address), sizeof address) < 0) fail("connect");
    const int one = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(socket, F_SETFL, O_NONBLOCK);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = index;
    if (epoll_ctl(poll_, EPOLL_CTL_ADD, socket, &event) < 0) fail("epoll_ctl");
    connections_[index] = Connection{socket, -1, {}};
  }

  // The connection that was used last is the next: as a client's pool does it, few stay busy where few are needed.
  void send(double due) {
    outstanding_++;
    if (idle_.empty()) {
      waiting_.push_back(due);
      return;
    }
    const int index = idle_.back();
    idle_.pop_back();
    sendOn(index, due);
  }

  void sendOn(int index, double due) {
    Connection &connection = connections_[index];
    connection.due = due;
    if (due >= timing_) behind_.push_back((now() - due) * 1000);
    const std::string &request = requests_[sent_++ % requests_.size()];
    // A request is smaller than a socket's buffer, which is empty when the last answer has come.
    if (write(connection.socket, request.data(), request.size()) != ssize_t(request.size())) lose(index);
  }

  void receive() {
    epoll_event events[64];
    const int count = epoll_wait(poll_, events, 64, 0);
    for (int event = 0; event < count; event++) receiveOn(events[event].data.u32);
  }

  void receiveOn(int index) {
    Connection &connection = connections_[index];
    char bytes[16384];
    const ssize_t length = read(connection.socket, bytes, sizeof bytes);
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (length <= 0) {
      lose(index);
      return;
    }
    connection.received.append(bytes, length);
    if (!isWhole(connection.received)) return;
    record(connection.received.substr(9, 3), connection.due);
    connection.received.clear();
    connection.due = -1;
    outstanding_--;
    release(index);
  }

  // Each answer has a Content-Length.
  static bool isWhole(const std::string &received) {
    const std::size_t end = received.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    for (std::size_t line = received.find("\r\n"); line < end; line = received.find("\r\n", line + 2)) {
      const char *name = received.c_str() + line + 2;
      if (strncasecmp(name, "content-length:", 15) != 0) continue;
      return received.size() >= end + 4 + std::strtoul(name + 15, nullptr, 10);
    }
    return true;
  }

  void record(const std::string &status, double due) {
    Answers &answers = answers_[status];
    answers.count++;
    if (due >= timing_) answers.milliseconds.push_back((now() - due) * 1000);
  }

  // A connection that has closed: what it carried is lost, and another one takes its place.
  void lose(int index) {
    Connection &connection = connections_[index];
    close(connection.socket);
    const bool carried = connection.due >= 0;
    if (carried) {
      lost_++;
      outstanding_--;
    }
    open(index);
    if (carried) release(index);
  }

  void release(int index) {
    if (waiting_.empty()) {
      idle_.push_back(index);
      return;
    }
    const double due = waiting_.front();
    waiting_.pop_front();
    sendOn(index, due);
  }

  int port_;
  int poll_ = -1;
  std::vector<std::string> requests_;
  std::vector<Connection> connections_;
  std::vector<int> idle_;
  // When those were due that found no connection: they wait, and their latency runs.
  std::deque<double> waiting_;
  double timing_ = 0;
  long sent_ = 0;
  long outstanding_ = 0;
  long lost_ = 0;
  std::map<std::string, Answers> answers_;
  std::vector<double> behind_;
};

std::string contentOf(const char *path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

} // namespace

int main(int count, char **arguments) {
  if (count < 8) {
    std::fprintf(stderr, "open-loop PORT CONNECTIONS RATE WARM_UP_SECONDS SECONDS SEED REQUEST_FILE...\n");
    return 2;
  }
  std::vector<std::string> requests;
  for (int index = 7; index < count; index++) requests.push_back(contentOf(arguments[index]));
  Generator generator(std::atoi(arguments[1]), std::atoi(arguments[2]), std::move(requests));
  // A server takes many new connections one after the other; how fast it does is not the question.
  usleep(500'000);
  generator.run(std::atof(arguments[3]), std::atof(arguments[4]), std::atof(arguments[5]), std::atoi(arguments[6]));
  generator.print();
  return 0;
}
