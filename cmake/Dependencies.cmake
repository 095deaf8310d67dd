# Every library that is not ours. All come as Debian packages (see scripts/packages).
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
pkg_check_modules(liburing REQUIRED IMPORTED_TARGET liburing>=2.3)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)

# BoringSSL: a current upstream build where BORINGSSL_ROOT names one, else Debian's package.
set(BORINGSSL_ROOT "" CACHE PATH "A BoringSSL tree: ROOT/include and libssl.a, libcrypto.a below ROOT or ROOT/build")
add_library(boringssl INTERFACE)
if(BORINGSSL_ROOT)
  find_library(BORINGSSL_SSL NAMES libssl.a NO_DEFAULT_PATH REQUIRED
    PATHS ${BORINGSSL_ROOT} ${BORINGSSL_ROOT}/build ${BORINGSSL_ROOT}/lib
          ${BORINGSSL_ROOT}/build/ssl)
  find_library(BORINGSSL_CRYPTO NAMES libcrypto.a NO_DEFAULT_PATH REQUIRED
    PATHS ${BORINGSSL_ROOT} ${BORINGSSL_ROOT}/build ${BORINGSSL_ROOT}/lib
          ${BORINGSSL_ROOT}/build/crypto)
  target_include_directories(boringssl SYSTEM INTERFACE ${BORINGSSL_ROOT}/include)
  target_link_libraries(boringssl INTERFACE ${BORINGSSL_SSL} ${BORINGSSL_CRYPTO} Threads::Threads)
else()
  find_path(BORINGSSL_INCLUDE openssl/is_boringssl.h PATH_SUFFIXES android REQUIRED
    PATHS /usr/include/android NO_DEFAULT_PATH)
  find_library(BORINGSSL_SSL ssl PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/android
    NO_DEFAULT_PATH REQUIRED)
  find_library(BORINGSSL_CRYPTO crypto PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/android
    NO_DEFAULT_PATH REQUIRED)
  get_filename_component(BORINGSSL_LIBRARY_DIR ${BORINGSSL_SSL} DIRECTORY)
  target_include_directories(boringssl SYSTEM INTERFACE ${BORINGSSL_INCLUDE})
  target_link_libraries(boringssl INTERFACE ${BORINGSSL_SSL} ${BORINGSSL_CRYPTO} Threads::Threads)
  # The package keeps its libraries out of the loader's path.
  set(CMAKE_BUILD_RPATH ${BORINGSSL_LIBRARY_DIR})
  set(CMAKE_INSTALL_RPATH ${BORINGSSL_LIBRARY_DIR})
endif()

# mimalloc replaces malloc in release builds only: sanitizers bring their own.
add_library(allocator INTERFACE)
if(NOT SLUICE_SANITIZE AND NOT SLUICE_FUZZ)
  find_package(mimalloc REQUIRED)
  target_link_libraries(allocator INTERFACE mimalloc)
endif()

if(BUILD_TESTING)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()
