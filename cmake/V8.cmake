# The target shoal_v8: the engine of worker/wasm, V8 as Debian's libnode-dev and libnode108 bring it.
#
# Headers and library are taken as a pair only: where Node.js is not Debian's, /usr/include/node may
# belong to another V8 than the library does. Where there is no such pair, and libnode-dev cannot be
# installed beside a foreign Node.js, the two packages are unpacked into the build folder, which needs
# no rights and touches nothing else.
set(SHOAL_V8_DIR "${PROJECT_BINARY_DIR}/v8" CACHE PATH "Where V8 is unpacked if need be")

# Whether `include` and `library` fit together: says so in `variable`.
function(shoal_try_v8 variable include library)
  set(source "${PROJECT_BINARY_DIR}/v8-pair.cpp")
  file(WRITE "${source}" "#include <v8.h>
#include <cstdlib>
#include <cstdio>
#include <cstring>
int main() {
  char wanted[32];
  std::snprintf(wanted, sizeof wanted, \"%d.%d.\", V8_MAJOR_VERSION, V8_MINOR_VERSION);
  return std::strncmp(v8::V8::GetVersion(), wanted, std::strlen(wanted)) == 0 ? 0 : 1;
}
")
  try_run(ran built "${PROJECT_BINARY_DIR}/v8-pair" SOURCES "${source}"
    CMAKE_FLAGS "-DINCLUDE_DIRECTORIES=${include}" "-DCMAKE_BUILD_RPATH=${SHOAL_V8_DIR}/lib"
    LINK_LIBRARIES "${library}"
    LINK_OPTIONS "-Wl,-rpath-link,${SHOAL_V8_DIR}/lib" "-Wl,-rpath,${SHOAL_V8_DIR}/lib"
    CXX_STANDARD 20)
  if(built AND "${ran}" STREQUAL "0")
    set(${variable} TRUE PARENT_SCOPE)
  else()
    set(${variable} FALSE PARENT_SCOPE)
  endif()
endfunction()

if(NOT SHOAL_V8_INCLUDE OR NOT SHOAL_V8_LIBRARY OR NOT EXISTS "${SHOAL_V8_LIBRARY}")
  unset(SHOAL_V8_INCLUDE CACHE)
  unset(SHOAL_V8_LIBRARY CACHE)
  set(fits FALSE)
  find_path(SHOAL_SYSTEM_V8_INCLUDE v8.h PATH_SUFFIXES node)
  find_library(SHOAL_SYSTEM_V8_LIBRARY node)
  if(SHOAL_SYSTEM_V8_INCLUDE AND SHOAL_SYSTEM_V8_LIBRARY)
    shoal_try_v8(fits "${SHOAL_SYSTEM_V8_INCLUDE}" "${SHOAL_SYSTEM_V8_LIBRARY}")
  endif()
  if(fits)
    set(include "${SHOAL_SYSTEM_V8_INCLUDE}")
    set(library "${SHOAL_SYSTEM_V8_LIBRARY}")
  else()
    set(include "${SHOAL_V8_DIR}/include")
    set(library "${SHOAL_V8_DIR}/lib/libnode.so.108")
    execute_process(COMMAND "${PROJECT_SOURCE_DIR}/cmake/unpack-v8" "${SHOAL_V8_DIR}"
      RESULT_VARIABLE state OUTPUT_VARIABLE text ERROR_VARIABLE text)
    if(state EQUAL 0)
      shoal_try_v8(fits "${include}" "${library}")
    endif()
    if(NOT fits)
      message(FATAL_ERROR
        "The engine of wasm kernels, V8, cannot be had: install libnode-dev, or let apt-get download it "
        "(apt-get update first). Without it: -DSHOAL_WASM=OFF, and workers take no wasm kernels.\n${text}")
    endif()
  endif()
  set(SHOAL_V8_INCLUDE "${include}" CACHE PATH "V8's headers" FORCE)
  set(SHOAL_V8_LIBRARY "${library}" CACHE FILEPATH "V8, with its platform" FORCE)
endif()

add_library(shoal_v8 INTERFACE)
target_include_directories(shoal_v8 SYSTEM INTERFACE "${SHOAL_V8_INCLUDE}")
target_link_libraries(shoal_v8 INTERFACE "${SHOAL_V8_LIBRARY}")
target_link_options(shoal_v8 INTERFACE "-Wl,-rpath-link,${SHOAL_V8_DIR}/lib")
# An unpacked library goes with the programs that are installed.
if(SHOAL_V8_LIBRARY MATCHES "^${SHOAL_V8_DIR}/")
  install(DIRECTORY "${SHOAL_V8_DIR}/lib/" DESTINATION "${CMAKE_INSTALL_LIBDIR}/shoal"
    COMPONENT programs)
  set(SHOAL_V8_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}/shoal")
endif()
