# What Shoal's libraries link against. Read by Shoal's own build and, once installed, by
# shoalConfig.cmake, so that the two cannot come apart.
find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(TBB REQUIRED)
find_package(tl-expected REQUIRED)
find_package(spdlog REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
# Debian ships no CMake file for these; Cap'n Proto's works only where the language C is enabled.
find_package(PkgConfig REQUIRED)
foreach(module IN ITEMS capnp libzmq libsodium sqlite3)
  if(NOT TARGET PkgConfig::${module})
    pkg_check_modules(${module} REQUIRED IMPORTED_TARGET GLOBAL ${module})
  endif()
endforeach()
# Headers only, in the compiler's own path. MessagePack does have a CMake file, which asks for
# Boost though nothing here uses it: targets that include it define MSGPACK_NO_BOOST instead.
find_path(SHOAL_CPPZMQ_INCLUDE zmq.hpp REQUIRED)
find_path(SHOAL_MSGPACK_INCLUDE msgpack.hpp REQUIRED)
mark_as_advanced(SHOAL_CPPZMQ_INCLUDE SHOAL_MSGPACK_INCLUDE)
