// The kernels of this CPU for JavaScript: src/engine/kernels/native.ts declares what is exported here.
//
// Every worker thread loads the addon for itself, so nothing here changes once it is initialized.
#define NAPI_VERSION 8
#include <node_api.h>

#include <cstring>
#include <new>

#include "backend.h"
#include "step.h"

namespace {

using xnord::Backend;

// What a function that `bind` has made is bound to.
struct Binding {
  xnord::Run* run;
  uint8_t* arena;
  size_t length;
};

constexpr size_t kArenaAlignment = 64;

napi_value typeError(napi_env env, const char* message) {
  napi_throw_type_error(env, nullptr, message);
  return nullptr;
}

napi_value rangeError(napi_env env, const char* message) {
  napi_throw_range_error(env, nullptr, message);
  return nullptr;
}

// For calls that fail only where the engine is out of memory or about to end the thread.
napi_value failure(napi_env env) {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (!pending) napi_throw_error(env, nullptr, "the kernels are not to be had: Node-API fails");
  return nullptr;
}

// run(step, steps, slot, rows): xnord::Run on the arena of the binding.
napi_value run(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  size_t count = 4;
  void* data = nullptr;
  if (napi_get_cb_info(env, info, &count, arguments, nullptr, &data) != napi_ok) return failure(env);
  uint32_t values[4];
  for (int i = 0; i < 4; i++) {
    // Absent arguments arrive as undefined.
    if (napi_get_value_uint32(env, arguments[i], &values[i]) != napi_ok) {
      return typeError(env, "run takes four integers: step, steps, slot, rows");
    }
  }
  const auto [step, steps, slot, rows] = values;
  const auto& binding = *static_cast<const Binding*>(data);
  if (step % alignof(xnord::Step) != 0 || step + uint64_t{xnord::kStepBytes} * steps > binding.length) {
    return rangeError(env, "run: the steps' tables are not within the arena");
  }
  if (slot % kArenaAlignment != 0 || slot >= binding.length)
    return rangeError(env, "run: the slot is not within the arena, at a multiple of 64");
  if (rows == 0) return rangeError(env, "run: rows must be at least 1");
  binding.run(binding.arena, step, steps, slot, rows);
  return nullptr;
}

const Backend* findBackend(const char* name, size_t length) {
  for (const Backend* const* backend = xnord::backends; *backend != nullptr; backend++) {
    const char* known = (*backend)->name;
    if (std::strlen(known) == length && std::memcmp(known, name, length) == 0) return *backend;
  }
  return nullptr;
}

// Fills in the arena of a binding; where it cannot be one, throws and returns false.
bool readArena(napi_env env, napi_value memory, Binding& binding) {
  bool isTypedArray = false;
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;
  void* data = nullptr;
  napi_value buffer = nullptr;
  bool isDetachable = true;
  if (napi_is_typedarray(env, memory, &isTypedArray) != napi_ok || !isTypedArray ||
      napi_get_typedarray_info(env, memory, &type, &length, &data, &buffer, nullptr) != napi_ok ||
      type != napi_uint8_array) {
    typeError(env, "bind: the memory must be a Uint8Array");
    return false;
  }
  // Unlike shared memory an ArrayBuffer can be transferred, and its bytes freed, while they are bound.
  if (napi_is_arraybuffer(env, buffer, &isDetachable) != napi_ok || isDetachable) {
    typeError(env, "bind: the memory must be shared");
    return false;
  }
  if (reinterpret_cast<uintptr_t>(data) % kArenaAlignment != 0) {
    rangeError(env, "bind: the memory must be aligned to 64 bytes");
    return false;
  }
  binding.arena = static_cast<uint8_t*>(data);
  binding.length = length;
  return true;
}

void freeBinding(napi_env, void* data, void*) { delete static_cast<Binding*>(data); }

// bind(name, memory): the function that runs the backend of this name on the arena that the memory is.
napi_value bind(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  size_t count = 2;
  if (napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr) != napi_ok) return failure(env);
  // A longer name arrives cut off, and is none that there is.
  char name[32];
  size_t length = 0;
  if (napi_get_value_string_utf8(env, arguments[0], name, sizeof name, &length) != napi_ok) {
    return typeError(env, "bind: the name of the backend must be a string");
  }
  const Backend* backend = findBackend(name, length);
  if (backend == nullptr) return rangeError(env, "bind: there is no native backend of this name");
  if (!backend->isSupported()) return rangeError(env, "bind: this CPU lacks the instructions of this backend");
  Binding described = {backend->run, nullptr, 0};
  if (!readArena(env, arguments[1], described)) return nullptr;

  auto* binding = new (std::nothrow) Binding(described);
  if (binding == nullptr) return failure(env);
  napi_value function = nullptr;
  if (napi_create_function(env, "run", NAPI_AUTO_LENGTH, run, binding, &function) != napi_ok ||
      napi_add_finalizer(env, function, binding, freeBinding, nullptr, nullptr) != napi_ok) {
    delete binding;
    return failure(env);
  }
  // The memory lives as long as the function does, by the garbage collector's own means: a property.
  const napi_property_descriptor memory = {"memory", nullptr,      nullptr,      nullptr,
                                           nullptr,  arguments[1], napi_default, nullptr};
  if (napi_define_properties(env, function, 1, &memory) != napi_ok) return failure(env);
  return function;
}

// The names of the backends that this CPU has, fastest first.
napi_value supportedBackends(napi_env env) {
  napi_value names = nullptr;
  if (napi_create_array(env, &names) != napi_ok) return nullptr;
  uint32_t count = 0;
  for (const Backend* const* backend = xnord::backends; *backend != nullptr; backend++) {
    if (!(*backend)->isSupported()) continue;
    napi_value name = nullptr;
    if (napi_create_string_utf8(env, (*backend)->name, NAPI_AUTO_LENGTH, &name) != napi_ok ||
        napi_set_element(env, names, count++, name) != napi_ok) {
      return nullptr;
    }
  }
  return names;
}

}  // namespace

NAPI_MODULE_INIT() {
  napi_value names = supportedBackends(env);
  if (names == nullptr) return failure(env);
  const napi_property_descriptor members[] = {
      {"backends", nullptr, nullptr, nullptr, nullptr, names, napi_enumerable, nullptr},
      {"bind", nullptr, bind, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
  };
  if (napi_define_properties(env, exports, 2, members) != napi_ok) return failure(env);
  return exports;
}
