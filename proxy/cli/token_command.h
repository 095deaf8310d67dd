// `sluice token`: makes, lists and revokes the tokens in a tokens file (conf/tokens.h). Works on
// the file alone, whether or not a process runs; one that does takes it over within a second.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace sluice::proxy {

// Owned by the command line, which runs it where it was chosen.
class TokenCommand {
 public:
  explicit TokenCommand(CLI::App& app);

  CLI::App& command() { return *token_; }
  // The exit status. `config_path`: names the tokens file where --file doesn't.
  int run(const std::string& config_path);

 private:
  int create();
  int list(const std::string& config_path);
  int revoke(const std::string& config_path);
  int hash();

  CLI::App* token_ = nullptr;
  CLI::App* create_ = nullptr;
  CLI::App* list_ = nullptr;
  CLI::App* revoke_ = nullptr;
  CLI::App* hash_ = nullptr;
  std::string file_;
  std::string name_;
  std::string role_;
  std::vector<std::string> routes_;
  std::vector<std::string> backends_;
  std::string expires_;
  std::string which_;
  bool json_ = false;
};

}  // namespace sluice::proxy
